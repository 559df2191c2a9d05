"""From raw text to words: the normalisation of BERT, step by step; taught in chapter 5.

1. Clean: control characters go, every kind of white space becomes a blank.
2. Chinese characters are set apart, so each becomes a word of its own.
3. Accents are stripped: canonical decomposition (NFD), then the combining marks are dropped.
4. Letters are lower-cased.
5. The text is split at blanks and around punctuation.

Every step carries along, for each character, where in the original text it came from. So each
token can say which characters of the original it stands for, whatever the steps have removed,
added or replaced. The result is that of the ``tokenizers`` library's BERT normaliser, character
by character (https://github.com/huggingface/tokenizers).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from companion.text import unicode_tables as tables

_SPACES = tables.characters(tables.SPACES)
_REMOVED = tables.characters(tables.REMOVED) | tables.characters(((0xD800, 0xDFFF),))
_CHINESE = tables.characters(tables.CHINESE)
_MARKS = tables.characters(tables.NONSPACING_MARKS)
_PUNCTUATION = tables.characters(tables.PUNCTUATION)
_INERT = tables.characters(tables.INERT)


class AlignedText(NamedTuple):
    """A text on its way through normalisation.

    `text` is its present form; `origin[i]` is the position in the original text of the character
    that ``text[i]`` came from. Positions never decrease.
    """

    text: str
    origin: list[int]

    @classmethod
    def of(cls, text: str) -> AlignedText:
        """A text before any step: every character comes from itself."""
        return cls(text, list(range(len(text))))

    @classmethod
    def build(cls, characters: Iterable[tuple[str, int]]) -> AlignedText:
        """From pairs of a string (empty, one or more characters) and the origin of all of it."""
        text, origin = [], []
        for string, position in characters:
            text.append(string)
            origin += [position] * len(string)
        return cls("".join(text), origin)

    def pairs(self) -> Iterable[tuple[str, int]]:
        """Each character with its origin."""
        return zip(self.text, self.origin, strict=True)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original text that ``text[start:end]``, not empty, came from."""
        return self.origin[start], self.origin[end - 1] + 1


def clean(aligned: AlignedText) -> AlignedText:
    """Remove control and format characters and U+FFFD; turn all white space into blanks.

    A lone surrogate, half of a character that was torn apart, is removed as U+FFFD is.
    """
    if _SPACES.isdisjoint(aligned.text) and _REMOVED.isdisjoint(aligned.text):
        return aligned  # asking first is faster: most words need no change
    return AlignedText.build(
        (" " if char in _SPACES else char, position)
        for char, position in aligned.pairs()
        if char not in _REMOVED
    )


def separate_chinese(aligned: AlignedText) -> AlignedText:
    """Put blanks around every Chinese character."""
    if _CHINESE.isdisjoint(aligned.text):
        return aligned
    return AlignedText.build(
        (f" {char} " if char in _CHINESE else char, position) for char, position in aligned.pairs()
    )


def strip_accents(aligned: AlignedText) -> AlignedText:
    """Decompose canonically (NFD: é becomes e and U+0301), then drop the combining marks."""
    decomposed = decompose(aligned)
    if _MARKS.isdisjoint(decomposed.text):
        return decomposed
    return AlignedText.build(pair for pair in decomposed.pairs() if pair[0] not in _MARKS)


def decompose(aligned: AlignedText) -> AlignedText:
    """Unicode's normal form D: each character in its parts, runs of marks in canonical order.

    The reference hands out origins after putting the marks in order, so that a mark which moved
    takes the origin of the place it moved to; this function does the same.
    """
    if unicodedata.is_normalized("NFD", aligned.text):  # the usual case
        return aligned
    parts = [part for char in aligned.text for part in _parts(char)]
    start = 0
    while start < len(parts):  # sort each run of marks by combining class; the sort is stable
        end = start + 1
        while end < len(parts) and _combining_class(parts[end][0]) > 0:
            end += 1
        first = start + (_combining_class(parts[start][0]) == 0)
        parts[first:end] = sorted(parts[first:end], key=lambda part: _combining_class(part[0]))
        start = end
    index = -1
    origin = []
    for _, is_first in parts:
        index += is_first
        origin.append(aligned.origin[index])
    return AlignedText("".join(part for part, _ in parts), origin)


def _parts(char: str) -> list[tuple[str, bool]]:
    """The canonical decomposition of `char`: each part, and whether it is the first one."""
    parts = char if char in _INERT else unicodedata.normalize("NFD", char)
    return [(part, i == 0) for i, part in enumerate(parts)]


def _combining_class(char: str) -> int:
    return 0 if char in _INERT else unicodedata.combining(char)


def lower_case(aligned: AlignedText) -> AlignedText:
    """Lower-case character by character, so a Σ at a word's end becomes σ, not ς."""
    if aligned.text.isascii():
        return AlignedText(aligned.text.lower(), aligned.origin)
    return AlignedText.build(
        (tables.NEWER_LOWERCASE.get(char) or char.lower(), position)
        for char, position in aligned.pairs()
    )


def split_words(aligned: AlignedText) -> list[AlignedText]:
    """Split at blanks, which disappear, and around punctuation, each mark a word of its own."""
    if " " not in aligned.text and _PUNCTUATION.isdisjoint(aligned.text):
        return [aligned] if aligned.text else []
    words = []
    start = 0
    for i, char in enumerate([*aligned.text, " "]):
        if char == " " or char in _PUNCTUATION:
            bounds = [(start, i)] if char == " " else [(start, i), (i, i + 1)]
            words += [
                AlignedText(aligned.text[a:b], aligned.origin[a:b]) for a, b in bounds if a < b
            ]
            start = i + 1
    return words


@dataclass(frozen=True)
class Normalizer:
    """The steps above with BERT's options.

    `lowercase` is True for the "uncased" models and for bert-base-chinese. `strip_accents` None
    does as `lowercase` does. `split_chinese` False keeps runs of Chinese characters together.
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    split_chinese: bool = True

    def normalize(self, text: str) -> AlignedText:
        """Steps 1 to 4: the normalised text, with the origin of each of its characters."""
        steps: list[Callable[[AlignedText], AlignedText]] = [clean]
        if self.split_chinese:
            steps.append(separate_chinese)
        if self.lowercase if self.strip_accents is None else self.strip_accents:
            steps.append(strip_accents)
        if self.lowercase:
            steps.append(lower_case)
        aligned = AlignedText.of(text)
        for step in steps:
            aligned = step(aligned)
        return aligned

    def words(self, text: str) -> list[AlignedText]:
        """Steps 1 to 5: the words of `text`, normalised, with the origin of each character."""
        return split_words(self.normalize(text))

    def chunks(self, special_tokens: Sequence[str] = ()) -> re.Pattern[str]:
        """A pattern whose matches cut any text, without a gap, where words must be cut.

        A match is one of `special_tokens`, one Chinese character, one punctuation mark, or a run
        of anything else, each with the white space before it. As no step acts across these
        borders, a chunk has the same words alone as in its text: its result can be remembered.
        (Not every border is such a cut: `words` finds the others inside a chunk.)
        """
        alone = tables.PUNCTUATION + (tables.CHINESE if self.split_chinese else ())
        spaces, single = _character_class(tables.SPACES), _character_class(alone)
        kinds = [f"[^{spaces}{single}]+", *map(re.escape, special_tokens), f"[{single}]"]
        return re.compile(f"[{spaces}]*(?:{'|'.join(kinds)})|[{spaces}]+")


def _character_class(ranges: tuple[tuple[int, int], ...]) -> str:
    # Beyond U+FFFF such classes are slow, and all else there is seldom worth remembering.
    return "".join(f"\\u{a:04X}-\\u{b:04X}" for a, b in ranges if b <= 0xFFFF)
