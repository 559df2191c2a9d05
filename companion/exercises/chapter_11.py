"""Checkers of chapter 11: shared texts, padding, macro-F1, a paired interval, a clean split."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from companion.exercises.checking import exercise
from companion.exercises.expecting import expect, expect_close

SPLITS = ("train", "dev", "test")
SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}


def _key(text: str) -> str:
    return " ".join(text.split())


# 11.1 -----------------------------------------------------------------------------------------


def counts_distinct_texts(train_texts: Sequence[str], test_texts: Sequence[str]) -> float:
    train, test = set(map(_key, train_texts)), set(map(_key, test_texts))
    return len(train & test) / len(test)


def sees_blanks(train_texts: Sequence[str], test_texts: Sequence[str]) -> float:
    return sum(text in set(train_texts) for text in test_texts) / len(test_texts)


def looks_from_train(train_texts: Sequence[str], test_texts: Sequence[str]) -> float:
    test = set(map(_key, test_texts))
    return sum(_key(text) in test for text in train_texts) / len(train_texts)


@exercise("11.1", wrong=[counts_distinct_texts, sees_blanks, looks_from_train])
def leaked_share(answer: Callable[[Sequence[str], Sequence[str]], float]) -> str:
    train = ["房间很好", "房间很好", "太 吵", "早餐一般", "书很薄"]
    tries = [
        (["电池不行", "屏幕不错"], 0.0, "a test of two new texts"),
        (["房间很好", "屏幕不错"], 0.5, "a test of one old and one new text"),
        (["太  吵\n", "屏幕不错"], 0.5, "a test with '太  吵\\n' when train has '太 吵'"),
        (["书很薄", "书很薄", "书很薄", "屏幕不错"], 0.75, "a test with one old text three times"),
        (["太吵", "屏幕不错"], 0.0, "a test with '太吵' when train has '太 吵' (two words)"),
    ]
    for test, want, what in tries:
        expect_close(answer(train, test), want, f"the share of {what}")
    return "rows are counted, and white space does not hide a copy"


# 11.2 -----------------------------------------------------------------------------------------


def pads_to_the_longest_of_all(lengths: Sequence[int], batch_size: int) -> float:
    return 1 - sum(lengths) / (len(lengths) * max(lengths))


def averages_the_batches(lengths: Sequence[int], batch_size: int) -> float:
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return float(np.mean([1 - sum(b) / (len(b) * max(b)) for b in batches]))


def counts_full_batches_only(lengths: Sequence[int], batch_size: int) -> float:
    whole = len(lengths) // batch_size * batch_size
    batches = [lengths[i : i + batch_size] for i in range(0, whole, batch_size)]
    return 1 - sum(map(sum, batches)) / sum(batch_size * max(b) for b in batches)


@exercise(
    "11.2", wrong=[pads_to_the_longest_of_all, averages_the_batches, counts_full_batches_only]
)
def padding_share(answer: Callable[[Sequence[int], int], float]) -> str:
    tries = [([4, 4, 4, 4], 2), ([2, 4, 8, 8], 2), ([3, 5, 9], 2), ([7], 4)]
    tries.append((np.random.randint(3, 200, size=101).tolist(), 32))
    for lengths, batch_size in tries:
        batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
        want = 1 - sum(lengths) / sum(len(b) * max(b) for b in batches)
        shown = lengths if len(lengths) < 5 else f"{len(lengths)} random lengths"
        expect_close(
            answer(lengths, batch_size), want, f"the share for {shown} in batches of {batch_size}"
        )
    return "every batch is padded to its own longest text, the short last one too"


# 11.3 -----------------------------------------------------------------------------------------


def is_accuracy(confusion: np.ndarray) -> float:
    return float(np.trace(confusion) / confusion.sum())


def averages_precision_and_recall_first(confusion: np.ndarray) -> float:
    hits = np.diagonal(confusion)
    precision = np.mean(hits / np.maximum(confusion.sum(0), 1))
    recall = np.mean(hits / np.maximum(confusion.sum(1), 1))
    return float(2 * precision * recall / (precision + recall))


def leaves_out_what_was_never_predicted(confusion: np.ndarray) -> float:
    predicted = confusion.sum(0) > 0
    f1 = 2 * np.diagonal(confusion) / (confusion.sum(0) + confusion.sum(1))
    return float(f1[predicted].mean())


@exercise(
    "11.3",
    wrong=[is_accuracy, averages_precision_and_recall_first, leaves_out_what_was_never_predicted],
)
def macro_f1(answer: Callable[[np.ndarray], float]) -> str:
    tries = {
        "two equal classes": np.array([[50, 10], [20, 40]]),
        "a class of 950 and one of 50": np.array([[930, 20], [30, 20]]),
        "a class that is never predicted": np.array([[90, 0], [10, 0]]),
        "three classes": np.random.randint(1, 40, size=(3, 3)),
    }
    for what, confusion in tries.items():
        there = confusion.sum(0) + confusion.sum(1) > 0
        f1 = 2 * np.diagonal(confusion)[there] / (confusion.sum(0) + confusion.sum(1))[there]
        expect_close(answer(confusion.copy()), float(f1.mean()), f"macro-F1 of {what}")
    return "each class counts the same, however few texts it has"


# 11.4 -----------------------------------------------------------------------------------------


def draws_apart(right_a: np.ndarray, right_b: np.ndarray) -> tuple[float, float]:
    n = len(right_a)
    a = right_a[np.random.randint(n, size=(2000, n))].mean(1)
    b = right_b[np.random.randint(n, size=(2000, n))].mean(1)
    low, high = np.percentile(a - b, [2.5, 97.5])
    return float(low), float(high)


def subtracts_two_intervals(right_a: np.ndarray, right_b: np.ndarray) -> tuple[float, float]:
    n = len(right_a)
    rows = np.random.randint(n, size=(2000, n))
    a = np.percentile(right_a[rows].mean(1), [2.5, 97.5])
    b = np.percentile(right_b[rows].mean(1), [2.5, 97.5])
    return float(a[0] - b[0]), float(a[1] - b[1])


def turns_it_round(right_a: np.ndarray, right_b: np.ndarray) -> tuple[float, float]:
    n = len(right_a)
    rows = np.random.randint(n, size=(2000, n))
    low, high = np.percentile((right_b[rows] * 1.0 - right_a[rows]).mean(1), [2.5, 97.5])
    return float(low), float(high)


@exercise("11.4", wrong=[draws_apart, subtracts_two_intervals, turns_it_round])
def difference_interval(answer: Callable[[np.ndarray, np.ndarray], tuple[float, float]]) -> str:
    n = 900
    for agree, what in ((0.95, "nearly always agree"), (0.5, "often disagree")):
        right_a = np.random.rand(n) < 0.9
        right_b = np.where(np.random.rand(n) < agree, right_a, np.random.rand(n) < 0.7)
        difference = right_a.astype(float) - right_b
        error = float(difference.std() / np.sqrt(n))  # the standard error of the mean
        low, high = answer(right_a.copy(), right_b.copy())
        expect(
            low < high, f"the interval should go from low to high but is ({low:.4f}, {high:.4f})"
        )
        expect_close(
            (low + high) / 2,
            float(difference.mean()),
            f"the middle of the interval for two models that {what}",
            relative=0,
            absolute=0.4 * error,
        )
        # The ends of a bootstrap of 1000 draws or more scatter by a few per cent.
        expect_close(
            high - low,
            2 * 1.96 * error,
            f"the width of the interval for two models that {what}",
            relative=0.15,
        )
    return "rows are drawn in pairs, so what both models find hard cancels out"


# 11.5 -----------------------------------------------------------------------------------------


def draws_rows(texts: Sequence[str], labels: Sequence[Any]) -> list[str]:
    return random.choices(SPLITS, list(SHARES.values()), k=len(texts))


def cuts_in_order(texts: Sequence[str], labels: Sequence[Any]) -> list[str]:
    places = {text: i / len(texts) for i, text in reversed(list(enumerate(map(_key, texts))))}
    cut = {text: 0 if p < 0.8 else 1 if p < 0.9 else 2 for text, p in places.items()}
    return [SPLITS[cut[_key(text)]] for text in texts]


def trains_on_everything(texts: Sequence[str], labels: Sequence[Any]) -> list[str]:
    return ["train"] * len(texts)


@exercise("11.5", wrong=[draws_rows, cuts_in_order, trains_on_everything])
def clean_splits(answer: Callable[[list[str], list[str]], Sequence[str]]) -> str:
    texts, labels = [], []
    for number in range(1500):
        label = "positive" if number >= 1000 else "negative"  # sorted, as many tables are
        for copy in range(random.choice([1, 1, 1, 1, 2, 4])):
            texts.append(f"review {number}" + " " * (copy % 2))
            labels.append(label)
    names = list(answer(list(texts), list(labels)))
    expect(
        len(names) == len(texts) and set(names) <= set(SPLITS),
        f"the answer should be one of {', '.join(SPLITS)} for each of the {len(texts)} rows",
    )
    homes: dict[str, set[str]] = {}
    for text, name in zip(texts, names, strict=True):
        homes.setdefault(_key(text), set()).add(name)
    torn = sum(len(found) > 1 for found in homes.values())
    expect(not torn, f"{torn} texts have copies in more than one split (white space aside)")
    sizes, positive = Counter(names), labels.count("positive") / len(labels)
    for split, want in SHARES.items():
        share = sizes[split] / len(names)
        expect(
            abs(share - want) < 0.04, f"{split} holds {share:.1%} of the rows, not about {want:.0%}"
        )
        here = [label for label, name in zip(labels, names, strict=True) if name == split]
        found = here.count("positive") / len(here)
        expect(
            abs(found - positive) < 0.15,
            f"{found:.0%} of {split} are positive, but {positive:.0%} of all rows",
        )
    return "no text stands on two sides, and every split looks like the whole"
