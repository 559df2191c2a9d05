"""Checkers of chapter 14: both ends of a text, windows, attention over windows, a clean split."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from companion.exercises.checking import exercise
from companion.exercises.expecting import expect, expect_close, expect_equal

Ids = list[int]

# 14.1 -----------------------------------------------------------------------------------------


def reads_some_twice(ids: Ids, room: int) -> Ids:
    head = room // 4
    return ids[:head] + ids[-(room - head) :]


def swaps_the_ends(ids: Ids, room: int) -> Ids:
    head = room // 4
    return ids if len(ids) <= room else ids[-(room - head) :] + ids[:head]


def halves(ids: Ids, room: int) -> Ids:
    head = room // 2
    return ids if len(ids) <= room else ids[:head] + ids[len(ids) - (room - head) :]


def leaves_room_over(ids: Ids, room: int) -> Ids:
    return ids if len(ids) <= room else ids[: room // 4] + ids[-(3 * room // 4) :][: 3 * room // 4]


@exercise("14.1", wrong=[reads_some_twice, swaps_the_ends, halves, leaves_room_over])
def both_ends(answer: Callable[[Ids, int], Sequence[int]]) -> str:
    for length, room in ((100, 40), (41, 40), (40, 40), (12, 40), (0, 8), (50, 7), (9, 1)):
        got, where = list(answer(list(range(length)), room)), f"{length} tokens in a room of {room}"
        expect(
            len(got) <= room,
            f"{where}: {len(got)} tokens came back, which do not fit",
        )
        expect(
            len(set(got)) == len(got),
            f"{where}: some tokens are read twice; a text that fits stays as it is",
        )
        expect(
            got == sorted(got),
            f"{where}: the tokens are out of order; the beginning comes first, then the end",
        )
        expect(
            len(got) == min(length, room),
            f"{where}: {len(got)} tokens came back, though {min(length, room)} fit; if a quarter "
            "of the room is no whole number, the rest goes to the end",
        )
        if length > room:
            head = sum(token < room // 4 for token in got)
            expect_equal(head, room // 4, f"{where}: tokens from the first quarter of the room")
        want = list(range(length))
        if length > room:
            want = want[: room // 4] + want[length - room + room // 4 :]
        expect_equal(got, want, where)
    return "both ends are kept in their order, and a text that fits is left alone"


# 14.2 -----------------------------------------------------------------------------------------


def steps_by_stride(ids: Ids, size: int, stride: int) -> list[Ids]:
    starts = range(0, max(1, len(ids) - size + 1), max(1, stride))
    return [ids[i : i + size] for i in starts]


def drops_the_end(ids: Ids, size: int, stride: int) -> list[Ids]:
    starts = range(0, max(1, len(ids) - size + 1), size - stride)
    return [ids[i : i + size] for i in starts]


def adds_an_empty_round(ids: Ids, size: int, stride: int) -> list[Ids]:
    return [ids[i : i + size] for i in range(0, max(1, len(ids)), size - stride)]


def shares_nothing(ids: Ids, size: int, stride: int) -> list[Ids]:
    return [ids[i : i + size] for i in range(0, max(1, len(ids)), size)]


@exercise("14.2", wrong=[steps_by_stride, drops_the_end, adds_an_empty_round, shares_nothing])
def windows(answer: Callable[[Ids, int, int], Sequence[Sequence[int]]]) -> str:
    cases = [
        (10, 4, 1),
        (11, 4, 1),
        (4, 4, 2),
        (3, 4, 2),
        (20, 5, 0),
        (301, 126, 32),
        (127, 126, 32),
    ]
    for length, size, stride in cases:
        where = f"{length} tokens in windows of {size} that share {stride}"
        got = [list(window) for window in answer(list(range(length)), size, stride)]
        expect(
            all(0 < len(window) <= size for window in got),
            f"{where}: the windows hold {[len(w) for w in got]} tokens; "
            f"each should hold 1 to {size}",
        )
        missing = set(range(length)) - {token for window in got for token in window}
        expect(
            not missing,
            f"{where}: {len(missing)} tokens stand in no window, the first of them token "
            f"{min(missing, default=0)}; do not forget the end",
        )
        expect(
            all(window == list(range(window[0], window[0] + len(window))) for window in got),
            f"{where}: a window should be a stretch of the text, without gaps",
        )
        shared = [len(set(a) & set(b)) for a, b in pairwise(got)]
        expect(
            all(count >= stride for count in shared),
            f"{where}: neighbours share {min(shared, default=0)} tokens",
        )
        expect(
            all(count == stride for count in shared[:-1]),
            f"{where}: neighbours share {max(shared, default=0)} tokens; stride is what they share "
            "and not how far a window moves",
        )
        least = 1 + max(0, -(-(length - size) // (size - stride)))
        expect(
            len(got) == least,
            f"{where}: there are {len(got)} windows and {least} would do; a last window that "
            "lies within the one before it brings nothing",
        )
    return "every token is covered, neighbours share what was asked, and no window is idle"


# 14.3 -----------------------------------------------------------------------------------------


def _weights(scores: Tensor, counts: Tensor) -> Tensor:
    real = torch.arange(scores.size(1)) < counts[:, None]  # (B, K)
    return scores.masked_fill(~real, -torch.inf).softmax(-1)


def counts_padding(vectors: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    return torch.einsum("bk,bkd->bd", scores.softmax(-1), vectors)


def masks_with_zero(vectors: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    real = torch.arange(scores.size(1)) < counts[:, None]
    return counts_padding(vectors, scores * real, counts)


def masks_too_late(vectors: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    real = torch.arange(scores.size(1)) < counts[:, None]
    return torch.einsum("bk,bkd->bd", scores.softmax(-1) * real, vectors)


def over_the_texts(vectors: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    real = torch.arange(scores.size(1)) < counts[:, None]
    weights = scores.masked_fill(~real, -1e9).softmax(0) * real
    return torch.einsum("bk,bkd->bd", weights, vectors)


@exercise("14.3", wrong=[counts_padding, masks_with_zero, masks_too_late, over_the_texts])
def attention_over_windows(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    for B, K, D in ((1, 3, 4), (4, 5, 8), (3, 1, 2)):  # noqa: N806
        vectors, scores = torch.randn(B, K, D), 2 * torch.randn(B, K)
        counts = torch.randint(1, K + 1, (B,))
        counts[0] = K
        got = answer(vectors.clone(), scores.clone(), counts.clone())
        where = f"{B} texts of {counts.tolist()} windows"
        want = torch.einsum("bk,bkd->bd", _weights(scores, counts), vectors)
        expect(
            isinstance(got, Tensor) and got.shape == want.shape,
            f"{where}: the result should be a tensor of shape {tuple(want.shape)}, one vector a "
            f"text, but is {tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__}",
        )
        other = vectors.clone()
        other[torch.arange(K) >= counts[:, None]] = 100.0
        again = answer(other, scores.clone(), counts.clone())
        expect(
            torch.allclose(got, again, atol=1e-4),
            f"{where}: the result depends on vectors that belong to no window; their weight "
            "must be 0",
        )
        ones = answer(torch.ones(B, K, D), scores.clone(), counts.clone())
        expect(
            torch.allclose(ones, torch.ones(B, D), atol=1e-4),
            f"{where}: the weights of a text sum to {float(ones.min()):.3f} and not to 1; "
            "mask the scores with minus infinity before the softmax, which runs over the windows "
            "of one text",
        )
        expect_close(got, want, f"the vectors of {where}", absolute=1e-5)
    return "the weights of a text sum to 1, and what is no window weighs nothing"


# 14.4 -----------------------------------------------------------------------------------------


def deals_windows(documents: Sequence[Any]) -> list[bool]:
    rng = random.Random(0)
    return [rng.random() < 0.2 for _ in documents]


def takes_the_last(documents: Sequence[Any]) -> list[bool]:
    return [i >= 0.8 * len(documents) for i in range(len(documents))]


def takes_all_of_few(documents: Sequence[Any]) -> list[bool]:
    last = max(documents, key=str)
    return [document == last for document in documents]


@exercise("14.4", wrong=[deals_windows, takes_the_last, takes_all_of_few])
def split_by_document(answer: Callable[[Sequence[Any]], Sequence[bool]]) -> str:
    rng = random.Random(1)
    numbers = [number for number in range(400) for _ in range(rng.randint(1, 9))]
    names = [f"review {number}" for number in numbers]
    rng.shuffle(names)
    for documents, what in ((numbers, "windows in order"), (names, "windows in random order")):
        got = [bool(side) for side in answer(list(documents))]
        expect_equal(len(got), len(documents), f"{what}: the number of answers")
        sides: dict[Any, set[bool]] = {}
        for document, side in zip(documents, got, strict=True):
            sides.setdefault(document, set()).add(side)
        torn = sum(len(side) == 2 for side in sides.values())
        expect(
            not torn,
            f"{what}: {torn} of {len(sides)} documents have windows on both sides; draw documents, "
            "not windows",
        )
        share = sum(side == {True} for side in sides.values()) / len(sides)
        expect(
            0.15 <= share <= 0.25,
            f"{what}: {share:.0%} of the documents are in the test part; about a fifth should be",
        )
        sizes = Counter(documents)
        tested = [sizes[document] for document, side in sides.items() if side == {True}]
        rest = [sizes[document] for document, side in sides.items() if side == {False}]
        gap = abs(sum(tested) / len(tested) - sum(rest) / len(rest))
        expect(
            gap < 1.0,
            f"{what}: the tested documents have {sum(tested) / len(tested):.1f} windows on "
            f"average, the others {sum(rest) / len(rest):.1f}; draw long and short ones alike",
        )
    return "no document stands on both sides, and about a fifth of them is tested"


# 14.5 -----------------------------------------------------------------------------------------


def takes_the_first(logits: Tensor) -> Tensor:
    return logits[0]


def adds_up(logits: Tensor) -> Tensor:
    return logits.sum(0).softmax(-1)


def expects_two_classes(logits: Tensor) -> Tensor:
    return torch.stack([logits[:, 0].mean(), logits[:, 1].mean()])


def drops_extremes(logits: Tensor) -> Tensor:
    return logits.sort(dim=0).values[1:-1].mean(0)


@exercise("14.5", wrong=[takes_the_first, adds_up, expects_two_classes, drops_extremes])
def my_pooling(answer: Callable[[Tensor], Tensor]) -> str:
    for K, C in ((1, 2), (2, 3), (3, 2), (8, 5)):  # noqa: N806
        logits = 3 * torch.randn(K, C)
        got, where = answer(logits.clone()), f"{K} windows and {C} classes"
        expect(
            isinstance(got, Tensor) and got.shape == (C,),
            f"{where}: the result should be a tensor of {C} logits",
        )
        expect(bool(torch.isfinite(got).all()), f"{where}: the result holds {got.tolist()}")
        expect(
            torch.allclose(answer(logits[torch.randperm(K)].clone()), got, atol=1e-4)
            and torch.allclose(answer(logits.flip(0).clone()), got, atol=1e-4),
            f"{where}: in another order the windows give another answer",
        )
        same = answer(logits[:1].repeat(K, 1))
        p, q = same.softmax(-1), logits[0].softmax(-1)
        expect(
            torch.allclose(p, q, atol=1e-3),
            f"{K} windows that all say {[round(v, 2) for v in q.tolist()]} give "
            f"{[round(v, 2) for v in p.tolist()]}; where all agree, the text should too",
        )
    return "the order does not matter, and windows that agree are believed"
