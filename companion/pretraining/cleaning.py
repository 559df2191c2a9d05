"""What is done to a paragraph before it is tokenised, and how repeats are found (chapter 8).

Cleaning takes away what nobody wrote as text: markup that an export has left, invisible
characters, brackets whose content is gone. Wording, spelling and case stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from companion.data.suspicious import CONTROL, INVISIBLE, LOST

BREAK = re.compile(r"<br ?/?>|\n|\r", re.IGNORECASE)
ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&nbsp;": " "}
ENTITY = re.compile("|".join(ENTITIES))
# Templates, tables and categories of a wiki: no sentence begins like this.
MARKUP = re.compile(r"#\w+:|\{\{|\{\||\||\[\[(?:Category|File|Image|分类|文件)[:：]", re.IGNORECASE)
LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]")
LEFT_OVER = re.compile(
    r"\[\s?\[update\]\]|\[\[|\]\]|《》|「」|『』|【】"
    r"|（[\s，、；：,;:]*）|(?<![A-Za-z0-9_])\([\s，、；：,;:]*\)"  # but not the brackets of main()
)
NO_LETTERS = re.compile(r"[\W_]+")
HASH_RANGE = 1 << 64


def clean_paragraphs(line: str) -> Iterator[str]:
    """The paragraphs of a line, cleaned; a `<br />` ends one. Those with nothing left are missing.

    A paragraph of wiki markup is left out, and so is one with lost characters (U+FFFD).
    """
    for part in BREAK.split(line):
        text = part
        if not text.isascii():
            text = INVISIBLE.sub("", text)
            if LOST.search(text):
                continue
        if "&" in text:
            text = ENTITY.sub(lambda match: ENTITIES[match[0]], text)
        text = CONTROL.sub(" ", text).strip()
        if MARKUP.match(text):
            continue
        text = LEFT_OVER.sub("", LINK.sub(r"\1", text))
        text = " ".join(text.split())
        if text:
            yield text


def letters(text: str) -> str:
    """What two texts must share to count as the same: letters and digits, whatever their case.

    The letters of a document are those of its paragraphs, one after the other.
    """
    return NO_LETTERS.sub("", text).casefold()


def hash64(text: str) -> int:
    """A number from 0 to 2^64 - 1 that is the same on every machine and in every run."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Memory:
    """Which hashes have been met, in 8 bytes each and never more memory than it begins with.

    A table of open addressing: a hash stands in the first free of `PROBES` slots from its own.
    While the table is less than half full hardly any is forgotten. When all of its slots are
    taken a hash replaces the first of them: repeats may then go unnoticed, nothing else changes.
    """

    PROBES = 16

    def __init__(self, slots: int = 1 << 24) -> None:
        self.slots = slots
        # A memoryview gives plain integers, several times as fast as an array does.
        self.table = np.zeros(slots + self.PROBES, dtype=np.uint64).data

    def met(self, number: int) -> bool:
        """Whether `number` (64 bits) was asked for before; from now on it was."""
        number = number or 1  # 0 marks a free slot
        first = number % self.slots
        for slot in range(first, first + self.PROBES):
            found = self.table[slot]
            if found == number:
                return True
            if not found:
                self.table[slot] = number
                return False
        self.table[first] = number
        return False
