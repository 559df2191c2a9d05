"""Which documents and paragraphs of a corpus are kept, and which are held out (chapter 8)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from companion.pretraining.cleaning import HASH_RANGE, Memory, clean_paragraphs, hash64, letters
from companion.pretraining.reading import find_sources

Texts = str | Path | Iterable[str | Path]
SPLITS = ("train", "dev")
COUNTS = (
    "documents_read",
    "documents_left_out",
    "documents_excluded",
    "documents_repeated",
    "documents_without_text",
    "documents_short",
    "paragraphs_excluded",
    "paragraphs_repeated",
)


class Filters:
    """Cleans documents, and decides what is kept and what is held out.

    Attributes: `excluded`, the hashes of texts that must not get in, and of their paragraphs.
    """

    def __init__(self, exclude: Texts, dev_share: float, deduplicate: bool) -> None:
        self.dev_below = int(dev_share * HASH_RANGE)
        self.memory = Memory() if deduplicate else None
        self.excluded: set[int] = set()
        for source in find_sources(exclude) if exclude else []:
            for document in source.documents():
                _, keys = _cleaned(document)
                self.excluded.update(hash64(key) for key in [*keys, "".join(keys)] if key)

    def sift(
        self, document: list[str], counts: dict[str, int], share: float = 1.0
    ) -> tuple[str, list[str]]:
        """The split of a document, and its paragraphs that are kept; counts the others.

        Of all documents `share` are taken, those that are held out first.
        """
        counts["documents_read"] += 1
        paragraphs, keys = _cleaned(document)
        whole = hash64("".join(keys))
        if whole in self.excluded:
            counts["documents_excluded"] += 1
            return "", []
        if whole >= share * HASH_RANGE:
            counts["documents_left_out"] += 1
            return "", []
        kept = []
        for paragraph, key in zip(paragraphs, keys, strict=True):
            number = hash64(key)
            if number in self.excluded:
                counts["paragraphs_excluded"] += 1
            elif self.memory is not None and self.memory.met(number):
                counts["paragraphs_repeated"] += 1
            else:
                kept.append(paragraph)
        if not kept:
            counts["documents_repeated" if paragraphs else "documents_without_text"] += 1
        return SPLITS[whole < self.dev_below], kept


def _cleaned(document: list[str]) -> tuple[list[str], list[str]]:
    """The cleaned paragraphs that hold a letter or digit, and the letters of each."""
    paragraphs = [p for line in document for p in clean_paragraphs(line)]
    keys = [letters(paragraph) for paragraph in paragraphs]
    return [p for p, key in zip(paragraphs, keys, strict=True) if key], [k for k in keys if k]


def guess_language(documents: Iterable[list[str]]) -> str:
    """`zh` if at least a third of the letters are Chinese characters, else `en`."""
    text = letters("".join(line for document in documents for line in document)[:1_000_000])
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
    return "zh" if 3 * chinese >= max(len(text), 1) else "en"
