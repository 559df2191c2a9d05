"""Checkers of chapter 12: top-k, McNemar's test, calibration error, a threshold, label errors."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binom, binomtest

from companion.exercises.checking import exercise
from companion.exercises.expecting import expect, expect_close, expect_equal

# 12.1 -----------------------------------------------------------------------------------------


def counts_only_the_last_place(probabilities: np.ndarray, true: np.ndarray, k: int) -> float:
    order = np.argsort(-probabilities, axis=1)
    return float(np.mean(order[:, k - 1] == true))


def takes_the_least_probable(probabilities: np.ndarray, true: np.ndarray, k: int) -> float:
    order = np.argsort(probabilities, axis=1)
    return float(np.mean((order[:, :k] == true[:, None]).any(axis=1)))


def divides_by_k(probabilities: np.ndarray, true: np.ndarray, k: int) -> float:
    order = np.argsort(-probabilities, axis=1)
    return float(np.mean(order[:, :k] == true[:, None]))


@exercise("12.1", wrong=[counts_only_the_last_place, takes_the_least_probable, divides_by_k])
def top_k(answer: Callable[[np.ndarray, np.ndarray, int], float]) -> str:
    by_hand = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
    true = np.array([0, 0, 0, 1])
    for k, want in ((1, 0.5), (2, 0.75), (3, 1.0)):
        expect_close(
            answer(by_hand.copy(), true.copy(), k), want, f"top-{k} accuracy of the four small rows"
        )
    scores = np.random.randn(200, 10)
    true = np.random.randint(10, size=200)
    for k in (1, 2, 5):
        own = scores[np.arange(200), true]
        want = float(np.mean((scores > own[:, None]).sum(axis=1) < k))
        expect_close(
            answer(scores.copy(), true.copy(), k), want, f"top-{k} accuracy of 200 random rows"
        )
    return "the true class may stand in any of the first k places"


# 12.2 -----------------------------------------------------------------------------------------


def looks_at_one_side(only_a: int, only_b: int) -> float:
    return float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))


def doubles_past_one(only_a: int, only_b: int) -> float:
    return 2 * looks_at_one_side(only_a, only_b)


def counts_the_single_case(only_a: int, only_b: int) -> float:
    return min(1.0, 2 * float(binom.pmf(min(only_a, only_b), only_a + only_b, 0.5)))


@exercise("12.2", wrong=[looks_at_one_side, doubles_past_one, counts_the_single_case])
def mcnemar_p(answer: Callable[[int, int], float]) -> str:
    tries = [(5, 1), (1, 5), (3, 3), (0, 8), (60, 40), (330, 270)]
    tries += [(int(a), int(b)) for a, b in np.random.randint(1, 60, size=(5, 2))]
    for only_a, only_b in tries:
        want = float(binomtest(only_a, only_a + only_b).pvalue)
        expect_close(
            answer(only_a, only_b),
            want,
            f"the p-value for {only_a} texts that only A got right and {only_b} that only B did",
            absolute=1e-9,
        )
    expect_close(answer(0, 0), 1.0, "the p-value of two models that never differ")
    return "both tails are counted, and a probability stays below 1"


# 12.3 -----------------------------------------------------------------------------------------


def counts_all_bins_alike(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(np.mean((right - confidence)[place == b])) for b in np.unique(place)]
    return float(np.mean(gaps))


def loses_the_certain(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    place = (confidence * bins).astype(int)  # a confidence of 1 falls behind the last bin
    sums = [abs(np.sum((right - confidence)[place == b])) for b in range(bins)]
    return float(np.sum(sums) / len(right))


def lets_signs_cancel(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    return float(abs(np.mean(confidence - right)))


@exercise("12.3", wrong=[counts_all_bins_alike, loses_the_certain, lets_signs_cancel])
def calibration_error(answer: Callable[[np.ndarray, np.ndarray, int], float]) -> str:
    def reference(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
        place = np.minimum((confidence * bins).astype(int), bins - 1)
        sums = np.bincount(place, weights=right - confidence, minlength=bins)
        return float(np.abs(sums).sum() / len(right))

    sure = np.ones(4)
    tries = {
        "four answers at a confidence of 1, half of them right": (
            sure,
            np.array([True, True, False, False]),
            10,
        ),
        "one bin too sure and one not sure enough": (
            np.array([0.9, 0.9, 0.6, 0.6]),
            np.array([True, False, True, True]),
            5,
        ),
    }
    for bins in (5, 15):
        confidence = np.random.uniform(0.1, 1.0, size=500) ** 0.3
        right = np.random.rand(500) < confidence**2
        tries[f"500 random answers in {bins} bins"] = (confidence, right, bins)
    for what, (confidence, right, bins) in tries.items():
        expect_close(
            answer(confidence.copy(), right.copy(), bins),
            reference(confidence, right, bins),
            f"the expected calibration error of {what}",
        )
    return "bins weigh as many texts as they hold, and none is lost at the edge"


# 12.4 -----------------------------------------------------------------------------------------


def trusts_the_number(confidence: np.ndarray, right: np.ndarray, most: float) -> float:
    return 1 - most


def asks_too_much(confidence: np.ndarray, right: np.ndarray, most: float) -> float:
    return float(confidence[~right].max() + 1e-9) if (~right).any() else 0.0


def stops_at_the_first_excess(confidence: np.ndarray, right: np.ndarray, most: float) -> float:
    order = np.argsort(-confidence)
    risk = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    above = np.flatnonzero(risk > most)
    last = above[0] - 1 if len(above) else len(order) - 1
    return float(confidence[order[last]]) if last >= 0 else float("inf")


@exercise("12.4", wrong=[trusts_the_number, asks_too_much, stops_at_the_first_excess])
def threshold(answer: Callable[[np.ndarray, np.ndarray, float], float]) -> str:
    def coverage(at: float, confidence: np.ndarray) -> float:
        return float(np.mean(confidence >= at))

    for most in (0.02, 0.05, 0.2):
        # Two digits, so that several texts share a confidence.
        confidence = np.random.uniform(0.3, 0.995, size=2000).round(2)
        right = np.random.rand(2000) < confidence**0.3
        # The surest answer of all is wrong, as it often is.
        confidence, right = np.append(confidence, 1.0), np.append(right, False)
        found = float(answer(confidence.copy(), right.copy(), most))
        kept = confidence >= found
        expect(kept.any(), f"with at most {most:.0%} errors, no text reaches your {found:.3f}")
        risk = float(np.mean(~right[kept]))
        expect(
            risk <= most + 1e-12,
            f"of the texts from {found:.3f} up {risk:.1%} are wrong, where {most:.0%} were allowed",
        )
        best = max(
            coverage(one, confidence)
            for one in np.unique(confidence)
            if np.mean(~right[confidence >= one]) <= most
        )
        expect_close(
            coverage(found, confidence),
            best,
            f"the share that is answered with at most {most:.0%} errors",
        )
    hopeless = answer(np.array([0.9, 0.8]), np.array([False, False]), 0.05)
    expect(
        float(hopeless) > 0.9,
        f"where every answer is wrong nothing may be answered, but {float(hopeless):.3f} lets "
        "some through",
    )
    return "the errors stay within the limit and no more texts are given up than need be"


# 12.5 -----------------------------------------------------------------------------------------


def disagreements(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != given)
    return wrong[np.argsort(probabilities[wrong, given[wrong]], kind="stable")]


def below_one_half(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    own = probabilities[np.arange(len(given)), given]
    rows = np.flatnonzero(own < 0.5)
    return rows[np.argsort(own[rows], kind="stable")]


def one_threshold_for_all(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    own = probabilities[np.arange(len(given)), given]
    sure = np.where(probabilities >= own.mean(), probabilities, -1.0)
    rows = np.flatnonzero((sure.max(axis=1) > 0) & (sure.argmax(axis=1) != given))
    return rows[np.argsort(own[rows], kind="stable")]


def forgets_to_sort(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    return np.sort(_suspects(probabilities, given))


def _suspects(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    classes = range(probabilities.shape[1])
    limits = np.array([probabilities[given == c, c].mean() for c in classes])  # (C,)
    sure = np.where(probabilities >= limits, probabilities, -1.0)  # (n, C)
    rows = np.flatnonzero((sure.max(axis=1) > 0) & (sure.argmax(axis=1) != given))
    return rows[np.argsort(probabilities[rows, given[rows]], kind="stable")]


@exercise("12.5", wrong=[disagreements, below_one_half, one_threshold_for_all, forgets_to_sort])
def suspects(answer: Callable[[np.ndarray, np.ndarray], Sequence[int]]) -> str:
    # Class 1 is one the model is never sure of: its limit lies low, that of class 0 high.
    small = np.array(
        [[0.95, 0.05], [0.90, 0.10], [0.45, 0.55], [0.60, 0.40], [0.93, 0.07], [0.58, 0.42]]
    )
    given = np.array([0, 0, 1, 1, 1, 0])
    expect_equal(
        [int(row) for row in answer(small.copy(), given.copy())],
        _suspects(small, given).tolist(),
        "the suspects of six small rows",
    )
    for classes in (3, 10):
        n = 60 * classes
        truth = np.arange(n) % classes
        scores = np.random.randn(n, classes) + 3.0 * np.eye(classes)[truth]
        scores *= np.random.uniform(0.5, 1.5, size=(1, classes))  # not equally sure of each class
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        given = np.where(np.random.rand(n) < 0.1, np.random.randint(classes, size=n), truth)
        expect_equal(
            [int(row) for row in answer(probabilities.copy(), given.copy())],
            _suspects(probabilities, given).tolist(),
            f"the suspects of {n} rows in {classes} classes",
        )
    return "each class has a limit of its own, and the least believed label comes first"
