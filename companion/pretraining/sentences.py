"""Pairs of segments and what is asked about them: next sentence, sentence order (chapter 7).

Devlin et al. 2019, section 3.1, task 2; its successor in Lan et al. 2020 (ALBERT), section 3.1.
A segment is a run of neighbouring paragraphs of one document, longer than a sentence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from companion.errors import SettingsError

Document = Sequence[Sequence[int]]  # paragraphs of token ids, none special
SHORT_PROBABILITY = 0.1
SPECIAL = 3  # [CLS] first [SEP] second [SEP]


@dataclass(frozen=True)
class SegmentPair:
    """Two segments and the answer.

    Attributes: `first`, `second`, token ids; `label`, 0 where they stand so in the text, else 1,
    as `BertForPreTraining` takes it; `documents`, the number of the document of each.
    """

    first: list[int]
    second: list[int]
    label: int
    documents: tuple[int, int]


def next_sentence_pairs(
    documents: Sequence[Document],
    row_length: int,
    rng: np.random.Generator,
    *,
    short_probability: float = SHORT_PROBABILITY,
) -> Iterator[SegmentPair]:
    """One pass over the documents in pairs; half of them go on, half jump to another document.

    A pair with label 0 is a segment and the one that follows it; with label 1 the second segment
    begins at a random paragraph of another document. The coin is thrown for each pair. Together
    with three special tokens a pair fills at most `row_length` positions; with
    `short_probability` it is built for a random smaller length, down to 2 tokens, so that the
    model meets short inputs as well.

    Args:
        documents: at least two; one of a single paragraph gives no pair, for nothing follows.
        row_length: T.
        rng: decides everything.
        short_probability: 0.1 in google-research/bert, create_pretraining_data.py.

    What follows a pair with label 1 in the first document is used for the next pair, as there.
    Raises SettingsError when there is nothing to draw a negative from, or no room for a pair.
    """
    if len(documents) < 2:
        raise SettingsError(
            "Next-sentence pairs need at least two documents: half of the second segments come "
            "from another one. Put a blank line between documents."
        )
    for number in range(len(documents)):
        paragraphs = [p for p in documents[number] if len(p)]
        place = 0
        while place + 1 < len(paragraphs):
            room = _draw_room(row_length, rng, short_probability)
            first, after = _take(paragraphs, place, max(1, int(rng.integers(1, room))))
            if after == len(paragraphs):  # the last paragraph is kept for the second segment
                first, after = _join(paragraphs[place : after - 1]), after - 1
            wanted = max(1, room - len(first))
            if rng.random() < 0.5:
                second, end = _take(paragraphs, after, wanted)
                other = number
            else:
                other, strange = _another(documents, number, rng)
                second, _ = _take(strange, int(rng.integers(len(strange))), wanted)
                end = after
            cut_pair(first, second, room, rng)
            yield SegmentPair(first, second, int(other != number), (number, other))
            place = end


def sentence_order_pairs(
    documents: Sequence[Document],
    row_length: int,
    rng: np.random.Generator,
    *,
    short_probability: float = SHORT_PROBABILITY,
) -> Iterator[SegmentPair]:
    """What stands before and after a paragraph's end, in half of the pairs swapped (label 1).

    Topic gives no hint here, as it does in next-sentence prediction: only the order counts
    (Lan et al. 2020, section 3.1, inter-sentence coherence). Nor do the lengths: how much of the
    room each side may fill is drawn so that both are treated alike. Arguments as there, but one
    document is enough.
    """
    for number in range(len(documents)):
        paragraphs = [p for p in documents[number] if len(p)]
        tokens, used = _join(paragraphs), 0
        for border in np.cumsum([len(p) for p in paragraphs[:-1]]).astype(int).tolist():
            if border < used:
                continue
            room = _draw_room(row_length, rng, short_probability)
            before = int(rng.integers(1, room))
            used = border + room - before
            first, second = tokens[max(0, border - before) : border], tokens[border:used]
            swapped = int(rng.random() < 0.5)
            pair = (second, first) if swapped else (first, second)
            yield SegmentPair(*pair, swapped, (number, number))


def cut_pair(first: list[int], second: list[int], room: int, rng: np.random.Generator) -> None:
    """Shorten the longer of two segments, in place, token by token until both fit into `room`.

    A token goes at the front or at the end with equal chance, so that no segment always begins
    as its paragraph does (google-research/bert, truncate_seq_pair).
    """
    while len(first) + len(second) > room:
        longer = first if len(first) > len(second) else second
        longer.pop(0 if rng.random() < 0.5 else -1)


def join_pair(pair: SegmentPair, cls_id: int, sep_id: int) -> tuple[list[int], list[int]]:
    """[CLS] first [SEP] second [SEP] and the segment of each token, 0 or 1 (figure 2)."""
    ids = [cls_id, *pair.first, sep_id, *pair.second, sep_id]
    types = [0] * (len(pair.first) + 2) + [1] * (len(pair.second) + 1)
    return ids, types


def _draw_room(row_length: int, rng: np.random.Generator, short_probability: float) -> int:
    room = row_length - SPECIAL
    if room < 2:
        raise SettingsError(f"A row of {row_length} positions has no room for two segments.")
    return int(rng.integers(2, room + 1)) if rng.random() < short_probability else room


def _take(paragraphs: Document, start: int, wanted: int) -> tuple[list[int], int]:
    """Whole paragraphs from `start` on until there are `wanted` tokens; where they end."""
    taken: list[int] = []
    while start < len(paragraphs) and len(taken) < wanted:
        taken += paragraphs[start]
        start += 1
    return taken, start


def _join(paragraphs: Document) -> list[int]:
    return [token for paragraph in paragraphs for token in paragraph]


def _another(
    documents: Sequence[Document], number: int, rng: np.random.Generator
) -> tuple[int, Document]:
    """A random document that is not `number` and has text."""
    for _ in range(100):
        other = int(rng.integers(len(documents) - 1))
        other += other >= number
        if paragraphs := [p for p in documents[other] if len(p)]:
            return other, paragraphs
    raise SettingsError("Nearly all documents are empty: there is nothing to draw negatives from.")
