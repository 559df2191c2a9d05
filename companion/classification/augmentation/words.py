"""A text as words and what stands between them, in Chinese and English (chapter 13).

A word is one Chinese character, or a run of other letters and digits such as "don't" or "3G".
"""

import re
from collections.abc import Sequence

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
LETTER = rf"(?:[^\W_{HAN}]|[\u0300-\u036f])"  # combining accents belong to their letter
JOINERS = "'’-"
LETTERS = rf"{LETTER}+(?:[{JOINERS}]{LETTER}+)*"
CHARACTER = f"[{HAN}]"
WORD = re.compile(f"{CHARACTER}|{LETTERS}")
UNIT = re.compile(rf"{CHARACTER}|{LETTERS}|\S")


def cut(text: str) -> tuple[list[str], list[str]]:
    """The n units of a text, words and single marks, and the n + 1 gaps around them."""
    gaps, units, end = [], [], 0
    for match in UNIT.finditer(text):
        gaps.append(text[end : match.start()])
        units.append(match.group())
        end = match.end()
    return [*gaps, text[end:]], units


def glue(gaps: Sequence[str], units: Sequence[str]) -> str:
    """The inverse of `cut`; where two words would melt into one, a space parts them.

    That happens when the Chinese character that stood between them is gone.
    """
    parts: list[str] = []
    for i, (gap, unit) in enumerate(zip(gaps, units, strict=False)):
        touching = [] if i == 0 or gap else [units[i - 1]]
        if touching and touching[0] in JOINERS and i > 1 and not gaps[i - 1]:
            touching.append(units[i - 2])
        melts = bool(touching) and is_run(touching[-1]) and is_run(unit)
        parts += [" " if melts else gap, unit]
    return "".join([*parts, gaps[-1]])


def words_of(text: str) -> list[str]:
    """The words alone, in order."""
    return WORD.findall(text)


def is_word(unit: str) -> bool:
    """Whether a unit is a word, and not a mark."""
    return WORD.fullmatch(unit) is not None


def is_run(unit: str) -> bool:
    """Whether a unit is a word of letters or digits."""
    return is_word(unit) and not is_character(unit)


def is_character(unit: str) -> bool:
    """Whether a unit is one Chinese character."""
    return re.fullmatch(CHARACTER, unit) is not None
