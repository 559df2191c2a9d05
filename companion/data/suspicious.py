"""Texts that are not what somebody wrote: empty, wrongly decoded, or with leftover markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from companion.data.report import Finding, excerpt, share

HTML = re.compile(
    r"<br ?/?>|</?(?:p|div|span|a|b|i|u|em|strong|font|img|ul|ol|li|table|tr|td|h\d)(?: [^<>]*)?/?>"
    r"|&(?:amp|lt|gt|quot|nbsp|#\d+);",
    re.IGNORECASE,
)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
LOST = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯")  # what is left where bytes are gone for good
# Windows-1252's characters for the bytes 0x80 to 0xBF, which continue a character in UTF-8.
_CONTINUED = "".join(
    bytes([b]).decode("cp1252" if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")
    for b in range(0x80, 0xC0)
)
WESTERN = re.compile(
    f"[ÂÃ][{_CONTINUED}]|[\u00e0-\u00ef][{_CONTINUED}]{{2}}|[\u00f0-\u00f4][{_CONTINUED}]{{3}}"
)
CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
MIN_CHINESE = 2  # a few characters may be UTF-8 by accident, as 联通 and 一一一一 are


def mojibake_at(text: str) -> int:
    """Where UTF-8 that was decoded as Windows-1252 or GB18030 begins in `text`; -1 if nowhere.

    Sequences of Windows-1252 characters that spell the bytes of one UTF-8 character hardly
    occur otherwise. For GB18030 the mistake is undone: if the whole text turns back into sound
    UTF-8 of mostly Chinese characters, it was one.
    """
    if text.isascii():
        return -1
    if match := WESTERN.search(text):
        return match.start()
    try:
        undone = text.encode("gb18030").decode("utf-8")
    except UnicodeError:
        return -1
    beyond_ascii = sum(character > "\x7f" for character in undone)
    chinese = len(CHINESE.findall(undone))
    return 0 if chinese >= MIN_CHINESE and 2 * chinese > beyond_ascii else -1


def _position(pattern: re.Pattern[str]) -> Callable[[str], int]:
    def search(text: str) -> int:
        match = pattern.search(text)
        return match.start() if match else -1

    return search


# Level, kind, where it is in a text (-1: nowhere), what it is, what to do.
TESTS: tuple[tuple[str, str, Callable[[str], int], str, str], ...] = (
    (
        "warning",
        "empty",
        lambda text: -1 if text.strip() else 0,
        "Empty texts",
        "Loading for training leaves them out.",
    ),
    (
        "warning",
        "lost_characters",
        _position(LOST),
        "Lost characters (U+FFFD and the like)",
        "Load from the original file if there is one.",
    ),
    (
        "warning",
        "mojibake",
        mojibake_at,
        "UTF-8 read in another encoding",
        "Load the original again as UTF-8.",
    ),
    (
        "warning",
        "control_characters",
        _position(CONTROL),
        "Control characters",
        "Remove them; a tokenizer does. From U+0080 on they are Windows-1252 read as Latin-1.",
    ),
    (
        "note",
        "invisible_characters",
        _position(INVISIBLE),
        "Invisible characters (U+FEFF, U+200B and the like)",
        "Remove them; they make equal texts differ.",
    ),
    (
        "note",
        "html",
        _position(HTML),
        "Leftover HTML",
        "Replace it by spaces; it takes room that the text could use.",
    ),
)


def suspicions(split: str, texts: Iterable[str]) -> list[Finding]:
    """One finding for each kind of suspicious text that occurs in a split."""
    counts = {kind: 0 for _, kind, *_ in TESTS}
    examples: dict[str, list[str]] = {kind: [] for kind in counts}
    total = 0
    for text in texts:
        total += 1
        for _, kind, find, *_ in TESTS:
            if (position := find(text)) >= 0:
                counts[kind] += 1
                if len(examples[kind]) < 2 and text.strip():
                    examples[kind].append(excerpt(text, position))
    return [
        Finding(
            level,
            kind,
            split,
            counts[kind],
            f"{what}: {counts[kind]:,} of {total:,} rows of {split} "
            f"({share(counts[kind], total)}). {remedy}",
            tuple(examples[kind]),
        )
        for level, kind, _, what, remedy in TESTS
        if counts[kind]
    ]
