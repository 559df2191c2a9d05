"""Pieces of documents side by side in rows of one length, with next to no padding (chapter 8).

Padding every text to the row's length would waste a third of all positions and more (Krell et
al. 2021). Here several pieces share a row, each from [CLS] to [SEP]; the model is told which
position belongs to which piece, and no token sees another piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

SPECIAL = 2  # positions that a piece needs beside its tokens: [CLS] and [SEP]
SHORTEST_CUT = 8  # positions; a smaller gap stays empty rather than get a scrap of a piece
CHUNK_ROWS = 4096


def cut_document(paragraph_sizes: Iterable[int], capacity: int) -> tuple[list[int], int]:
    """Cut a document into pieces of at most `capacity` tokens, at ends of paragraphs where it can.

    Args:
        paragraph_sizes: tokens of each paragraph.
        capacity: tokens of the longest piece.

    Returns:
        The tokens of each piece, in the order of the document, and how many of the cuts are
        inside a paragraph (one that is longer than a piece by itself).
    """
    pieces: list[int] = []
    current = inside = 0
    for size in paragraph_sizes:
        if current and current + size > capacity:
            pieces.append(current)
            current = 0
        while size > capacity:
            pieces.append(capacity)
            size -= capacity
            inside += 1
        current += size
    if current:
        pieces.append(current)
    return pieces, inside


@dataclass(frozen=True)
class Placement:
    """Which tokens stand in which row.

    Attributes: `starts`, `sizes`, (P,), where the tokens of each placed piece begin and how many
    they are, row after row; `ends`, (R,), the number of pieces placed up to the end of each row;
    `cuts`, how many pieces were cut once more to fill a row.
    """

    starts: np.ndarray
    sizes: np.ndarray
    ends: np.ndarray
    cuts: int


def pack(
    starts: np.ndarray, sizes: np.ndarray, row_length: int, rng: np.random.Generator
) -> Placement:
    """Distribute pieces over rows: the longest first, then each time the longest that fits.

    If that would leave a small gap, two pieces that fill the row exactly are taken instead; where
    there are none a longer piece is cut to fill the row, so that rows are full
    whatever the lengths are. Best fit by a histogram of lengths follows Krell et al. 2021,
    section 3.1; cutting is ours. `rng` decides which pieces of equal length meet, and the order
    of the rows.

    Args:
        starts: (P,), where the tokens of each piece begin.
        sizes: (P,), how many tokens it has, from 1 to `row_length` - 2.
        row_length: T.
        rng: draws the order.
    """
    buckets: list[list[int]] = [[] for _ in range(row_length + 1)]  # by positions that it fills
    order = rng.permutation(len(starts))
    order = order[np.argsort(sizes[order], kind="stable")]
    lengths, first = np.unique(sizes[order] + SPECIAL, return_index=True)
    for length, members in zip(lengths, np.split(starts[order], first[1:]), strict=False):
        buckets[length] = members.tolist()
    mask = sum(1 << int(length) for length in lengths)  # bit i: bucket i holds something
    placed_starts: list[int] = []
    placed_sizes: list[int] = []
    ends: list[int] = []
    cuts = 0
    while mask:
        gap = row_length
        while gap > SPECIAL and mask:
            fit = (mask & ((2 << gap) - 1)).bit_length() - 1  # the longest that fits, or -1
            longest = mask.bit_length() - 1
            if 0 < gap - fit < SHORTEST_CUT and gap < row_length:
                fit = _first_of_two(buckets, fit, gap) or fit
            if fit > 0 and not (0 < gap - fit < SHORTEST_CUT and longest > gap >= SHORTEST_CUT):
                placed_starts.append(buckets[fit].pop())
                placed_sizes.append(fit - SPECIAL)
                if not buckets[fit]:
                    mask ^= 1 << fit
                gap -= fit
            elif longest > gap >= SHORTEST_CUT:
                start = buckets[longest].pop()
                if not buckets[longest]:
                    mask ^= 1 << longest
                placed_starts.append(start)
                placed_sizes.append(gap - SPECIAL)
                rest = longest - gap + SPECIAL  # the rest needs a [CLS] and a [SEP] of its own
                buckets[rest].append(start + gap - SPECIAL)
                mask |= 1 << rest
                cuts += 1
                gap = 0
            else:
                break
        ends.append(len(placed_starts))
    placement = Placement(
        starts=np.array(placed_starts, dtype=np.int64),
        sizes=np.array(placed_sizes, dtype=np.int64),
        ends=np.array(ends, dtype=np.int64),
        cuts=cuts,
    )
    return _reordered(placement, rng.permutation(len(ends)))


def _first_of_two(buckets: list[list[int]], longest: int, gap: int) -> int | None:
    """The longer of two pieces that fill a gap exactly, the first no longer than `longest`."""
    for first in range(longest, (gap - 1) // 2, -1):
        if buckets[first] and len(buckets[gap - first]) > (2 * first == gap):
            return first
    return None


def _reordered(placement: Placement, order: np.ndarray) -> Placement:
    """The same rows in another order."""
    counts = np.diff(placement.ends, prepend=0)[order]
    ends = counts.cumsum()
    pieces = np.repeat(placement.ends[order] - ends, counts) + np.arange(len(placement.starts))
    return Placement(placement.starts[pieces], placement.sizes[pieces], ends, placement.cuts)


def fill_rows(
    tokens: np.ndarray, placement: Placement, row_length: int, cls_id: int, sep_id: int, pad_id: int
) -> Iterator[np.ndarray]:
    """The packed rows, up to `CHUNK_ROWS` at a time: (rows, T), of the type of `tokens`."""
    for first in range(0, len(placement.ends), CHUNK_ROWS):
        ends = placement.ends[first : first + CHUNK_ROWS]
        before = placement.ends[first - 1] if first else 0
        starts, sizes = placement.starts[before : ends[-1]], placement.sizes[before : ends[-1]]
        rows = np.full((len(ends), row_length), pad_id, dtype=tokens.dtype)
        flat = rows.reshape(-1)  # (rows * T,), the same memory
        filled = sizes + SPECIAL
        counts = np.diff(ends, prepend=before)  # pieces in each row
        row_of_piece = np.repeat(np.arange(len(ends)), counts)
        total = filled.cumsum()
        total_before_row = np.concatenate([[0], total])[ends - before - counts]
        begins = total - filled - total_before_row[row_of_piece] + row_of_piece * row_length
        flat[begins] = cls_id
        flat[begins + sizes + 1] = sep_id
        within = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
        flat[np.repeat(begins + 1, sizes) + within] = tokens[np.repeat(starts, sizes) + within]
        yield rows
