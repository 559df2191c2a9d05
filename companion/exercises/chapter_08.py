"""Checkers of chapter 8, "A pretraining run"."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.exercises import exercise, expect, expect_close
from companion.model import BertConfig
from companion.pretraining.batches import positions
from companion.pretraining.speed import flops_per_token
from companion.training.optimizer import linear_warmup_decay

Answer = Callable[..., Any]


def random_rows(rows: int, width: int) -> Tensor:
    """Numbers of pieces: 1, 1, 2, 2, 2, ... and 0 at the end of most rows."""
    documents = torch.zeros(rows, width, dtype=torch.long)
    for row in documents:
        end = random.randint(width // 2, width - 1)
        borders = sorted(random.sample(range(1, end), 3))
        for number, (start, stop) in enumerate(
            zip([0, *borders], [*borders, end], strict=True), start=1
        ):
            row[start:stop] = number
    documents[0, documents[0] == 0] = 5  # one row without padding
    documents[0, -1] = 6  # and with a piece of one token
    return documents


def same_piece(documents: Tensor) -> Tensor:
    """(B, T) -> (B, T, T), bool."""
    return (documents[:, :, None] == documents[:, None, :]) & (documents != 0)[:, :, None]


# Typical wrong answers, by words of the sentence that each of them gets.
SEPARATIONS: dict[str, Answer] = {
    "run through the row": lambda d: (torch.arange(d.size(1)).expand_as(d), same_piece(d)),
    "counted from 0": lambda d: (positions(d) + 1, same_piece(d)),
    "another piece": lambda d: (positions(d), (d != 0)[:, None, :].expand(-1, d.size(1), -1)),
    "no causal mask": lambda d: (positions(d), same_piece(d).tril()),
    "two zeros are no piece": lambda d: (positions(d), d[:, :, None] == d[:, None, :]),
    "sees itself, too": lambda d: (
        positions(d),
        same_piece(d) & ~torch.eye(d.size(1), dtype=torch.bool),
    ),
}


@exercise("8.1", wrong=[*SEPARATIONS.values()])
def separate(answer: Answer) -> str:
    for documents in (torch.tensor([[1, 1, 1, 2, 2, 0]]), random_rows(4, 24)):
        given = documents.clone()
        got = answer(given)
        expect(torch.equal(given, documents), "your function changes `documents`; make new tensors")
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "your function should return two things, the position ids and the mask",
        )
        numbers, mask = got
        real, want, square = documents != 0, positions(documents), same_piece(documents)
        expect(
            isinstance(numbers, Tensor) and numbers.shape == documents.shape,
            f"the position ids should be a tensor of the shape {tuple(documents.shape)}",
        )
        running = torch.arange(documents.size(1)).expand_as(documents)
        expect(
            not torch.equal(numbers[real].long(), running[real]),
            "your positions run through the row; each piece begins again at 0",
        )
        expect(
            not torch.equal(numbers[real].long(), want[real] + 1), "positions are counted from 0"
        )
        expect_close(numbers[real].long(), want[real], "the position ids of real tokens")
        expect(
            isinstance(mask, Tensor) and mask.shape == square.shape,
            f"the mask should be a tensor of the shape {tuple(square.shape)}",
        )
        expect(mask.dtype == torch.bool, f"the mask should have the dtype bool, not {mask.dtype}")
        expect(
            not (mask & ~square)[real].any(),
            "a token sees a token of another piece, or padding",
        )
        expect(not (mask & ~square).any(), "padding sees something; two zeros are no piece")
        expect(mask.diagonal(dim1=1, dim2=2)[real].all(), "a token sees itself, too")
        expect(
            torch.equal(mask, square),
            "a token should see all of its piece, on both sides: this is no causal mask",
        )
    return "each piece is alone in its square, and begins at position 0"


def first_fit(order: list[int], sizes: list[int], room: int) -> list[list[int]]:
    rows: list[list[int]] = []
    left: list[int] = []
    for piece in order:
        row = next((i for i, free in enumerate(left) if free >= sizes[piece]), len(rows))
        if row == len(rows):
            rows.append([])
            left.append(room)
        rows[row].append(piece)
        left[row] -= sizes[piece]
    return rows


def longest_first(sizes: list[int], room: int) -> list[list[int]]:
    return first_fit(sorted(range(len(sizes)), key=lambda i: -sizes[i]), sizes, room)


def last_row_only(sizes: list[int], room: int) -> list[list[int]]:
    rows: list[list[int]] = [[]]
    left = room
    for piece in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if sizes[piece] > left:
            rows.append([])
            left = room
        rows[-1].append(piece)
        left -= sizes[piece]
    return rows


PACKINGS: dict[str, Answer] = {
    "you need 9 rows": lambda sizes, room: [[piece] for piece in range(len(sizes))],
    "put the longest pieces first": lambda sizes, room: first_fit(
        list(range(len(sizes))), sizes, room
    ),
    "look at all rows": last_row_only,
    "but has room for": lambda sizes, room: longest_first(sizes, room + 1),
    "are in no row": lambda sizes, room: [
        [p for p in row if sizes[p] > 4] for row in longest_first(sizes, room)
    ],
    "do you return sizes?": lambda sizes, room: [
        [sizes[p] for p in row] for row in longest_first(sizes, room)
    ],
}


def puzzles() -> list[tuple[list[int], int]]:
    """Sizes and room: by hand, at random, short lines as they are, and the worst order."""
    drawn = [random.randint(3, 128) for _ in range(200)]
    short = [min(128, int(random.expovariate(1 / 30)) + 3) for _ in range(300)]
    return [
        ([35, 20, 45, 25, 60, 50, 75, 40, 50], 100),
        (drawn, 128),
        (short, 128),
        ([19] * 30 + [43] * 30 + [64] * 30, 126),
    ]


@exercise("8.2", wrong=[*PACKINGS.values()])
def pack_pieces(answer: Answer) -> str:
    for sizes, room in puzzles():
        given = list(sizes)
        rows = answer(given, room)
        expect(given == sizes, "your function changes the list of sizes; work on a copy")
        expect(
            isinstance(rows, list | tuple) and all(isinstance(r, list | tuple) for r in rows),
            "your function should return a list of rows, each a list of numbers of pieces",
        )
        placed = [int(piece) for row in rows for piece in row]
        expect(
            all(0 <= piece < len(sizes) for piece in placed),
            f"there are {len(sizes)} pieces, numbered from 0; you name the piece "
            f"{max(placed, default=0)} (do you return sizes?)",
        )
        twice = len(placed) - len(set(placed))
        expect(not twice, f"{twice} of the numbers come more than once (do you return sizes?)")
        lost = len(sizes) - len(placed)
        expect(not lost, f"{lost} of {len(sizes)} pieces are in no row; nothing may be lost")
        fullest = max(sum(sizes[piece] for piece in row) for row in rows)
        expect(fullest <= room, f"a row holds {fullest} positions, but has room for {room}")
        used = sum(1 for row in rows if row)
        best = len(longest_first(sizes, room))
        ahead = "put the longest pieces first, and look at all rows that still have room"
        expect(
            used <= math.ceil(1.02 * best),
            f"you need {used} rows for {len(sizes)} pieces, first fit decreasing {best}: {ahead}",
        )
    return "nothing lost, no row overfull, and hardly a gap"


def reference_hours(
    config: BertConfig, tokens: float, attended: float, peak: float, mfu: float, mask_rate: float
) -> float:
    return tokens * flops_per_token(config, mask_rate, attended) / (peak * mfu) / 3600


def changed(scale: float = 1.0, power: int = 1, **given: float) -> Answer:
    """The hours times `scale`, with `mfu` to a `power`, and other values for what is `given`."""

    def wrong(
        config: BertConfig,
        tokens: float,
        attended: float,
        peak: float,
        mfu: float,
        mask_rate: float = 0.15,
    ) -> float:
        values = {"attended": attended, "mask_rate": mask_rate, **given}
        return scale * reference_hours(config, tokens, peak=peak, mfu=mfu**power, **values)

    return wrong


HOURS: dict[str, Answer] = {
    "these are seconds; divide by 3600": changed(scale=3600),
    "nobody reaches the peak: divide by the share `mfu` of it": changed(power=0),
    "a machine that is used less takes longer: divide by `mfu`": changed(power=-1),
    "this is the forward pass alone; going back costs twice as much again: 6 for each weight, 12 "
    "in attention": changed(scale=1 / 3),
    "only the share `mask_rate` of the tokens goes through the word head": changed(mask_rate=1.0),
    "the attention itself is missing: 12 · L · D · attended": changed(attended=0.0),
    "the word head is missing: mask_rate · (D² + V · D) weights": changed(mask_rate=0.0),
}


@exercise("8.3", wrong=[*HOURS.values()])
def gpu_hours(answer: Answer) -> str:
    cases = [
        (BertConfig.base(vocab_size=30522), 4.26e10, 128.0, 312e12, 0.4, 0.15),
        (BertConfig.mini(vocab_size=16000), 3e8, 90.0, 1e12, 0.25, 0.15),
        (BertConfig.small(vocab_size=8000), 1e9, 400.0, 65e12, 0.2, 0.4),
    ]
    for case in cases:
        got, want = answer(*case), reference_hours(*case)
        for sentence, wrong in HOURS.items():
            other = wrong(*case)
            alike = isinstance(got, int | float) and math.isclose(got, other, rel_tol=1e-6)
            expect(not alike or math.isclose(other, want, rel_tol=1e-6), sentence)
        what = f"the hours of a BERT of {case[0].num_hidden_layers} layers"
        expect_close(got, want, what, relative=1e-4)
    return "operations, divided by what the machine really does in an hour"


SCHEDULES: dict[str, Answer] = {
    "begin at 1 / warmup": lambda s, total, up, down: (
        s / up if s < up else linear_warmup_decay(s, total, up, down)
    ),
    "end at 1 / decay": lambda s, total, up, down: (
        (total - 1 - s) / down if s > total - down else linear_warmup_decay(s, total, up, down)
    ),
    "stay at its peak": lambda s, total, up, down: linear_warmup_decay(s, total, up),
    "there is no warm-up": lambda s, total, up, down: linear_warmup_decay(s, total, 0, down),
    "divide by zero": lambda s, total, up, down: min(1.0, (s + 1) / up, (total - s) / down),
}


@exercise("8.4", wrong=[*SCHEDULES.values()])
def trapezoid(answer: Answer) -> str:
    for total, warmup, decay in ((100, 10, 20), (57, 7, 30), (40, 10, 30)):
        rates = [answer(step, total, warmup, decay) for step in range(total)]
        expect(
            all(isinstance(rate, int | float) for rate in rates),
            "your function should return a number for every step",
        )
        expect(rates[0] != 0, "update 0 has the rate 0 and is wasted; begin at 1 / warmup")
        expect(rates[-1] != 0, "the last update has the rate 0 and is wasted; end at 1 / decay")
        expect(rates[0] < 1, "there is no warm-up: the first update has the full rate")
        level = rates[warmup : total - decay + 1]
        expect(
            all(math.isclose(rate, 1.0) for rate in level),
            f"between the warm-up and the last {decay} of {total} updates the rate should stay "
            "at its peak, 1",
        )
        for step, rate in enumerate(rates):
            want = linear_warmup_decay(step, total, warmup, decay)
            what = f"the factor at step {step} of {total} (warm-up {warmup}, decay {decay})"
            expect_close(rate, want, what)
    for warmup, decay in ((0, 5), (5, 0), (0, 0)):
        for step in range(20):
            try:
                rate = answer(step, 20, warmup, decay)
            except ZeroDivisionError:
                rate = None
            expect(rate is not None, f"you divide by zero with warmup={warmup} and decay={decay}")
            want = linear_warmup_decay(step, 20, warmup, decay)
            expect_close(rate, want, f"the factor at step {step}, warmup={warmup}, decay={decay}")
    return "up, level, down, and no update at a rate of zero"
