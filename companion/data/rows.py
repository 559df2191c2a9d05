"""From single rows to splits: labels become class names, and what cannot be used is named."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, NamedSplit, Value

from companion.data.columns import Columns
from companion.data.readers import read_rows, table_format
from companion.errors import DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
SPLITS = ("train", "dev", "test")
CHUNK_ROWS = 10_000
NUMBER = re.compile(r"\s*[-+]?[\d.,]+(e[-+]?\d+)?%?\s*", re.IGNORECASE)


class DataWarning(UserWarning):
    """A run can go on with this table, but not with all of it; says what was left out."""


class RowCollector:
    """Collects the rows of one or more files, and checks them as a whole at the end.

    Texts are kept in Arrow memory, not as Python strings: a million rows of 200 Chinese
    characters take about 0.6 GB.

    Args:
        labels: the names of the classes, if they are known beforehand.
        keep_empty: keep rows whose text is empty.
    """

    def __init__(self, labels: Sequence[str] | None = None, *, keep_empty: bool = False) -> None:
        self.fixed = labels is not None
        self.keep_empty = keep_empty
        self.spellings: dict[str, str] = {}  # how a file may write a label -> its name
        self.codes: dict[str, int] = {name: code for code, name in enumerate(labels or [])}
        self.first_place: dict[tuple[str, str], str] = {}  # (split, label) -> where it first is
        self.chunks: dict[str, list[pa.Array]] = {}
        self.labels: dict[str, list[np.ndarray]] = {}
        self.empty = 0
        self.only_numbers = True
        self.digest = hashlib.sha256()

    def add(self, path: Path, columns: Columns, encoding: str, split: str) -> None:
        """Read one file; its rows go to `split` unless a column of it says otherwise."""
        unit = "row" if table_format(path) == ".parquet" else "line"
        pending: dict[str, tuple[list[int], list[str], list[int]]] = {}
        parts: dict[str, str] = {}  # what the split column says -> the split
        empty: list[int] = []
        unassigned = 0
        for line, text, label, part in read_rows(path, columns, encoding):
            name = label.strip() if isinstance(label, str) else _label_name(label)
            if name is None:
                raise DataError(
                    f"{path}, {unit} {line}: the label is {str(label)[:40]!r}; expected a text, a "
                    "number or true/false."
                )
            if text is None or not text.strip():
                empty.append(line)
                if not self.keep_empty or not name:
                    continue
                text = text or ""
            if not name:
                raise DataError(
                    f"{path}, {unit} {line}: the column {columns.label!r} holds no label. Fill it "
                    "in, or remove the row."
                )
            name = self.spellings.get(name, name)
            if part is None or not part.strip():
                part, unassigned = split, unassigned or line
            else:
                if part not in parts:
                    parts[part] = self._split(f"{path}, {unit} {line}", part)
                part = parts[part]
            if (part, name) not in self.first_place:
                self.first_place[part, name] = f"{path}, {unit} {line}"
                self._check_label(f"{path}, {unit} {line}", name)
            if self.only_numbers and not NUMBER.fullmatch(text):
                self.only_numbers = False
            lines, texts, codes = pending.setdefault(part, ([], [], []))
            lines.append(line)
            texts.append(text)
            codes.append(self.codes[name])
            if len(texts) == CHUNK_ROWS:
                self._store(f"{path}, {unit}", part, *pending.pop(part))
        for part, rows in pending.items():
            self._store(f"{path}, {unit}", part, *rows)
        if unassigned and parts:
            raise DataError(
                f"{path}, {unit} {unassigned}: the column {columns.split!r} is empty here and "
                "filled elsewhere. Write train, dev or test."
            )
        self.empty += len(empty)
        if empty and not self.keep_empty:
            warnings.warn(
                f"{path}: {_count(len(empty), 'row')} without text left out, the first at "
                f"{unit} {empty[0]}.",
                DataWarning,
                stacklevel=3,
            )

    def _split(self, place: str, value: str) -> str:
        split = SPLIT_NAMES.get(value.strip().lower())
        if split is None:
            raise DataError(
                f"{place}: {value!r} is no split; expected train, dev (or val, validation) or test."
            )
        return split

    def _check_label(self, place: str, name: str) -> None:
        if self.fixed and name not in self.codes:
            raise DataError(
                f"{place}: the label {name!r} is none of the classes {', '.join(self.codes)}."
            )
        self.codes.setdefault(name, len(self.codes))

    def _store(
        self, place: str, split: str, lines: list[int], texts: list[str], codes: list[int]
    ) -> None:
        try:
            chunk = pa.array(texts, pa.string())
        except UnicodeEncodeError as error:
            bad = next(n for n, text in zip(lines, texts, strict=True) if not _encodable(text))
            raise DataError(
                f"{place} {bad}: half a character (a lone surrogate, {error.object[error.start]!r})"
                " cannot be text. Mend or remove the row."
            ) from error
        self.digest.update(split.encode())
        for buffer in chunk.buffers():
            if buffer is not None:
                self.digest.update(buffer)
        self.digest.update(np.array(codes).tobytes())
        self.chunks.setdefault(split, []).append(chunk)
        self.labels.setdefault(split, []).append(np.array(codes))

    def dataset(self, source: str) -> DatasetDict:
        """Everything collected, as splits of two columns.

        Raises:
            DataError: no rows, one class only, a class that train lacks, or a column that
                cannot be the texts or the labels.
        """
        self._check(source)
        names = list(self.codes) if self.fixed else _sorted_names(self.codes)
        new_code = np.array([names.index(name) for name in self.codes])
        features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
        self.digest.update("\0".join([*self.codes, *names]).encode())
        splits = {}
        for split in SPLITS:
            if split in self.chunks:
                labels = pa.array(new_code[np.concatenate(self.labels[split])], pa.int64())
                table = pa.table({"text": pa.chunked_array(self.chunks[split]), "label": labels})
                # Without a fingerprint of ours, `datasets` would pickle the whole table for one.
                splits[split] = Dataset(
                    table,
                    info=DatasetInfo(features=features),
                    split=NamedSplit(split),
                    fingerprint=hashlib.sha256(self.digest.digest() + split.encode()).hexdigest()[
                        :16
                    ],
                )
        return DatasetDict(splits)

    def _check(self, source: str) -> None:
        rows = sum(len(chunk) for chunks in self.chunks.values() for chunk in chunks)
        if not rows:
            raise DataError(
                f"{source} has no rows"
                + (f" with text: all {self.empty} are empty." if self.empty else ".")
                + " There is nothing to train on or to evaluate."
            )
        if self.only_numbers:
            raise DataError(
                f"{source}: the column of texts holds nothing but numbers. Name the column with "
                "the texts with --text-column."
            )
        if self.fixed:
            return
        if "train" not in self.chunks:
            raise DataError(
                f"{source} has rows for {' and '.join(self.chunks)} but none for train. Name a "
                "split train, or leave the split column out."
            )
        known = [name for split, name in self.first_place if split == "train"]
        if len(known) == 1:
            raise DataError(
                f"{source}: every row of train has the label {known[0]!r}. A classifier needs at "
                "least two classes."
            )
        for (split, name), place in self.first_place.items():
            if name not in known:
                raise DataError(
                    f"{place}: the label {name!r} of {split} does not occur in train, which has "
                    f"{_listed(_sorted_names(known))}. Add such rows to train, or remove these."
                )
        if len(known) > 20 and 2 * len(known) > rows:
            raise DataError(
                f"{source}: the column of labels holds {len(known)} different values in {rows} "
                "rows. Name the column with the classes with --label-column."
            )


def _label_name(value: Any) -> str | None:
    """The class of a label that is no string: empty if it is missing, None if it is unusable."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # an empty cell elsewhere turns a whole column of integers to floats
    return str(value) if isinstance(value, bool | int | float) else None


def _sorted_names(names: Iterable[str]) -> list[str]:
    """Sorted, as numbers if all are numbers."""
    names = sorted(names)
    if all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
        return sorted(names, key=float)
    return names


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
