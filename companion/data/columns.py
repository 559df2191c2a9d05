"""The columns of a table that matter, and where they stand in its header."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.errors import DataError

# The line (in Parquet: the row) a row begins on, text, label, split; what is absent is None.
Row = tuple[int, str | None, Any, str | None]

USUAL_NAMES = {
    "text": "review text_a sentence content comment title document 评论 文本 内容 标题",
    "label": "labels class category sentiment target y 标签 类别 情感",
    "split": "set subset fold 划分",
}


@dataclass(frozen=True)
class Columns:
    """Which columns to read. `split` may be None; `header` names those of a file without one."""

    text: str = "text"
    label: str = "label"
    split: str | None = "split"
    split_required: bool = False
    header: tuple[str, ...] | None = None


def find_columns(
    path: Path, header: Sequence[str], columns: Columns, otherwise: str = ""
) -> tuple[int, int, int | None]:
    """Where text, label and split stand in the header.

    Args:
        path: the file, for the error.
        header: the names of its columns.
        columns: the wanted ones.
        otherwise: a second remedy, where there is one.

    Raises:
        DataError: a wanted column is missing or occurs twice.
    """
    for option, name in (
        ("text", columns.text),
        ("label", columns.label),
        ("split", columns.split),
    ):
        if name is None or header.count(name) == 1:
            continue
        if name in header:
            raise DataError(
                f"{path}: the column {name!r} occurs {header.count(name)} times; rename one."
            )
        if option == "split" and not columns.split_required:
            continue
        guess = _similar(name, option, header) or "NAME"
        found = ", ".join(h if len(h) <= 40 else h[:40] + "…" for h in header[:20])
        raise DataError(
            f"{path} has no column {name!r}; its columns are: {found}. Name the right one with "
            f'--{option}-column {guess} (in Python {option}_column="{guess}"){otherwise}.'
        )
    split = header.index(columns.split) if columns.split in header else None
    return header.index(columns.text), header.index(columns.label), split


def _similar(name: str, option: str, header: Sequence[str]) -> str | None:
    """The column that was probably meant: one spelled alike, or a name often used for it."""
    lower = {column.lower(): column for column in header}
    usual = [alias for alias in USUAL_NAMES[option].split() if alias in lower]
    close = difflib.get_close_matches(name.lower(), list(lower), 1) or usual
    return lower[close[0]] if close else None
