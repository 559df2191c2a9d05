"""Checkers of chapter 9, "What pretraining learned"."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.exercises import exercise, expect, expect_close

Answer = Callable[..., Any]
Guesses = list[tuple[str, float]]

WORDS = ["good", "bad", "long", "short", "sad", "funny", "好", "差"]


def guesses(p: Tensor, tokens: list[str], order: Tensor, k: int) -> Guesses:
    return [(tokens[i], float(p[i])) for i in order.tolist()[:k]]


def best_of(logits: Tensor, tokens: list[str], k: int) -> Guesses:
    return guesses(logits.softmax(0), tokens, logits.argsort(descending=True), k)


def overflowing(logits: Tensor, tokens: list[str], k: int) -> Guesses:
    p = logits.exp() / logits.exp().sum()
    return guesses(p, tokens, logits.argsort(descending=True), k)


def among_the_best(logits: Tensor, tokens: list[str], k: int) -> Guesses:
    values, places = logits.topk(k)
    shares = values.softmax(0).tolist()
    return [(tokens[i], p) for i, p in zip(places.tolist(), shares, strict=True)]


# Typical wrong answers, by words of the sentence that each of them gets.
TOP_K: dict[str, Answer] = {
    "these are logits": lambda z, t, k: guesses(z, t, z.argsort(descending=True), k),
    "logarithms of probabilities": lambda z, t, k: guesses(
        z.log_softmax(0), t, z.argsort(descending=True), k
    ),
    "least probable": lambda z, t, k: guesses(z.softmax(0), t, z.argsort(), k),
    "take the softmax over all": among_the_best,
    "e to the power of 1,000": overflowing,
    "you return 8": lambda z, t, k: best_of(z, t, len(z)),
    "the first k tokens": lambda z, t, k: guesses(z.softmax(0), t, torch.arange(len(z)), k),
}


@exercise("9.1", wrong=[*TOP_K.values()])
def top_k(answer: Answer) -> str:
    small = torch.tensor([2.0, 1.0, 0.5, 0.0, 3.0, -1.0, 1.5, -2.0])
    for logits, k in ((small, 3), (torch.randn(8), 5), (small + 1000, 3)):
        given = logits.clone()
        got, want = answer(logits, list(WORDS), k), best_of(given, WORDS, k)
        expect(torch.equal(logits, given), "your function changes `logits`; make new tensors")
        expect(
            isinstance(got, list | tuple) and all(len(pair) == 2 for pair in got),
            "your function should return a list of pairs of a token and its probability",
        )
        expect(len(got) == k, f"you return {len(got)} tokens where k = {k}")
        names, numbers = [pair[0] for pair in got], [float(pair[1]) for pair in got]
        expect(
            all(isinstance(name, str) for name in names),
            "the first of each pair should be the token itself, not its id",
        )
        expect(
            not any(math.isnan(p) for p in numbers),
            "e to the power of 1,000 is no number that a float holds: take the largest logit off "
            "first, it cancels in the quotient",
        )
        worst = [WORDS[i] for i in given.argsort()[:k]]
        expect(names != worst, "these are the least probable tokens; sort the other way round")
        in_order = "the first k tokens of the vocabulary are not the most probable ones: sort first"
        expect(names != WORDS[:k] or names == [name for name, _ in want], in_order)
        places = [WORDS.index(name) for name in names if name in WORDS]
        raw = [float(given[i]) for i in places]
        expect(
            not np.allclose(raw, numbers),
            "these are logits; the softmax makes probabilities of them",
        )
        logs = given.log_softmax(0)[places].tolist()
        expect(
            not np.allclose(logs, numbers), "these are logarithms of probabilities; take e to them"
        )
        expect(
            not math.isclose(sum(numbers), 1, rel_tol=1e-5),
            f"the {k} probabilities add up to 1, but other tokens need a share as well: take the "
            "softmax over all V logits, then choose",
        )
        for place, ((name, p), token, number) in enumerate(zip(want, names, numbers, strict=True)):
            expect(token == name, f"guess {place + 1} should be {name!r} but is {token!r}")
            expect_close(number, p, f"the probability of {name!r}", relative=1e-3)
    return "the most probable tokens, with their share among all"


def of_types(types: np.ndarray, share: float, vocab_size: int, seed: int) -> np.ndarray:
    labels = np.random.default_rng(seed).random(vocab_size) < share
    return labels[types].astype(int)


def in_order_met(types: np.ndarray, share: float, vocab_size: int, seed: int) -> np.ndarray:
    """One label a type, but drawn for the types that are present."""
    present, inverse = np.unique(types, return_inverse=True)
    return (np.random.default_rng(seed).random(len(present)) < share).astype(int)[inverse]


CONTROLS: dict[str, Answer] = {
    "a type has one label": lambda types, share, size, seed: (
        np.random.default_rng(seed).random(len(types)) < share
    ).astype(int),
    "stand beside it": in_order_met,
    "does not depend on the seed": lambda types, share, size, seed: of_types(types, share, size, 0),
    "of all types should be labelled 1": lambda types, share, size, seed: of_types(
        types, 0.5, size, seed
    ),
    "the same call twice": lambda types, share, size, seed: of_types(
        types, share, size, int(np.random.randint(1 << 30))
    ),
    "zeros and ones": lambda types, share, size, seed: np.random.default_rng(seed).random((size,))[
        types
    ],
    "one label for each token": lambda types, share, size, seed: (
        np.random.default_rng(seed).random(size) < share
    ).astype(int),
}


@exercise("9.2", wrong=[*CONTROLS.values()])
def control_task(answer: Answer) -> str:
    size, draw = 5000, np.random.default_rng(7)
    train, test = draw.integers(0, size, 9000), draw.integers(0, size, 2000)
    for share in (0.2, 0.6):
        labels, later = (np.asarray(answer(types, share, size, 1)) for types in (train, test))
        expect(
            labels.shape == train.shape and later.shape == test.shape,
            f"there should be one label for each token: {train.shape[0]:,} of them for as many "
            f"tokens, but you return the shape {labels.shape}",
        )
        expect(set(np.unique(labels).tolist()) <= {0, 1}, "the labels should be zeros and ones")
        again = np.asarray(answer(train, share, size, 1))
        for first, second in ((labels, labels), (labels, again)):
            of = dict(zip(train.tolist(), first.tolist(), strict=True))
            torn = sum(of[t] != label for t, label in zip(train.tolist(), second, strict=True))
            if first is second:
                expect(not torn, "a type has one label, wherever it occurs; draw for types")
            expect(not torn, "the same call twice gives other labels; use the seed")
        differs = sum(
            of.get(t, label) != label for t, label in zip(test.tolist(), later, strict=True)
        )
        expect(
            not differs,
            "the label of a type depends on which other types stand beside it, so training and "
            "test would have different tasks: draw one label for each entry of the vocabulary",
        )
        every = np.asarray(answer(np.arange(size), share, size, 1))
        expect(
            abs(every.mean() - share) < 0.04,
            f"{share:.0%} of all types should be labelled 1, but {every.mean():.0%} are",
        )
        other = np.asarray(answer(np.arange(size), share, size, 2))
        expect((every != other).any(), "your task does not depend on the seed")
    return "random, and yet the same for a type wherever it stands"


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def difference(a: np.ndarray, y: np.ndarray, b: np.ndarray, c: np.ndarray, t: np.ndarray) -> float:
    return float((a == y)[t].mean() - (b == c)[t].mean())


SELECTIVITIES: dict[str, Answer] = {
    "in the test texts alone": lambda a, y, b, c, t: difference(a, y, b, c, np.ones_like(t)),
    "outside of the test texts": lambda a, y, b, c, t: difference(a, y, b, c, ~t),
    "the other way round": lambda a, y, b, c, t: -difference(a, y, b, c, t),
    "a difference, not a quotient": lambda a, y, b, c, t: (a == y)[t].mean() / (b == c)[t].mean(),
    "this is the accuracy on the real task": lambda a, y, b, c, t: (a == y)[t].mean(),
    "in per cent": lambda a, y, b, c, t: 100 * difference(a, y, b, c, t),
    "share of answers that are right": lambda a, y, b, c, t: a[t].mean() - b[t].mean(),
    "both probes with the labels of the real task": lambda a, y, b, c, t: difference(a, y, b, y, t),
}


def answers_of_probes(n: int, good: float, memory: float, seed: int) -> Arrays:
    draw = np.random.default_rng(seed)
    labels, control = draw.integers(0, 2, n), draw.integers(0, 2, n)
    test = draw.random(n) < 0.3
    answers = np.where(draw.random(n) < good + 0.1 * ~test, labels, 1 - labels)
    memorised = np.where(draw.random(n) < memory + 0.3 * ~test, control, 1 - control)
    return answers, labels, memorised, control, test


@exercise("9.3", wrong=[*SELECTIVITIES.values()])
def selectivity(answer: Answer) -> str:
    for case in (answers_of_probes(400, 0.85, 0.6, 1), answers_of_probes(300, 0.55, 0.69, 2)):
        got, want = answer(*(array.copy() for array in case)), difference(*case)
        expect(
            isinstance(got, int | float | np.number) or (np.ndim(got) == 0 and got is not None),
            "your function should return a number",
        )
        got = float(got)
        for words, wrong in SELECTIVITIES.items():
            sentence = {
                "in the test texts alone": "count the tokens in the test texts alone; on the "
                "others the probes were trained",
                "outside of the test texts": "you count the tokens outside of the test texts",
                "the other way round": "the other way round: the real task first, less the control",
                "a difference, not a quotient": "selectivity is a difference, not a quotient",
                "in per cent": "this is in per cent; leave it as a difference of shares",
                "share of answers that are right": "an accuracy is the share of answers that are "
                "right, not the share of ones among them",
                "both probes with the labels of the real task": "you compare both probes with the "
                "labels of the real task; the second has `control` to answer",
            }.get(words, f"{words}; take off the one on the control task")
            expect(not math.isclose(got, float(wrong(*case)), rel_tol=1e-9), sentence)
        expect_close(got, want, "the selectivity")
    return "what the layer gives the probe, less what the probe memorises"


def reference_at(weights: Tensor, step: int, real: Tensor) -> Tensor:
    length = len(real)
    places = [i for i in range(length) if 0 <= i + step < length and real[i] and real[i + step]]
    return torch.stack([weights[:, i, i + step] for i in places]).mean(0)


ATTENTIONS: dict[str, Answer] = {
    "looks the wrong way": lambda w, step, real: reference_at(w, -step, real),
    "padding": lambda w, step, real: reference_at(w, step, torch.ones_like(real)),
    "the number of pairs": lambda w, step, real: (
        reference_at(w, step, real) * (int(real.sum()) - abs(step)) / int(real.sum())
    ),
    "over the heads": lambda w, step, real: reference_at(w, step, real).mean(),
}


@exercise("9.4", wrong=[*ATTENTIONS.values()])
def attention_at(answer: Answer) -> str:
    heads, length = 3, 9
    real = torch.arange(length) < 7
    weights = torch.rand(heads, length, length).softmax(-1)
    weights[:, 7:] = 1 / length  # a padded query looks at everything; its row means nothing
    for step in (1, -2, 3, 0):
        got = answer(weights.clone(), step, real.clone())
        want = reference_at(weights, step, real)
        expect(
            isinstance(got, Tensor) and got.numel() != 1,
            "your function should return a tensor with one number a head; do you take the mean "
            "over the heads as well?",
        )
        expect(
            got.shape == want.shape,
            f"there are {heads} heads, so the shape should be ({heads},), not {tuple(got.shape)}",
        )
        if step:
            reasons = {
                "padding": "you count pairs with padding; both ends must be real",
                "the number of pairs": "divide by the number of pairs that exist, which is smaller "
                "than the number of real tokens",
                "looks the wrong way": f"for step = {step} your head looks the wrong way: token i "
                "looks at token i + step, and row i of the weights is its own",
            }
            for words, sentence in reasons.items():
                other = ATTENTIONS[words](weights, step, real)
                expect(not torch.allclose(got.float(), other, atol=1e-6), sentence)
        expect_close(got.float(), want, f"the attention at step {step}")
    return "the mean along one diagonal, where both of its ends are text"
