"""Streaming the texts of a corpus from files, for training and measuring a vocabulary."""

from __future__ import annotations

import csv
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow.lib
import pyarrow.parquet

from companion.errors import DataError, NotFoundError

HELP = (
    "plain text (one text a line), or a .csv, .tsv or .parquet table with the column's name behind "
    "a colon, or its number, counted from 1, where there is no header; .xz and .gz are unpacked"
)


def read_texts(source: str) -> Iterator[str]:
    """Stream the texts of ``FILE`` or ``FILE:COLUMN``, one at a time.

    Plain text gives one text a line. ``.csv``, ``.tsv`` and ``.parquet`` need the column's name,
    or, where there is no header, its number counted from 1. ``.xz`` and ``.gz`` are unpacked.
    Raises NotFoundError for a missing file, and DataError for a missing column or a file that is
    not UTF-8 or not what its name says.
    """
    path, column = _split_source(source)
    try:
        if path.suffix == ".parquet":
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(columns=[column]):
                if not batch.num_columns:
                    raise DataError(f"{path} has no column {column!r}; write FILE:COLUMN.")
                yield from batch.column(0).to_pylist()
            return
        with _open_text(path) as lines:
            if column:
                yield from _read_column(path, lines, column)
            else:
                yield from (line.strip() for line in lines)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8; convert it first ({error.reason}).") from error
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, pyarrow.lib.ArrowInvalid) as error:
        raise DataError(f"{path} is damaged or not what its name says: {error}.") from error


def sample_evenly(source: str, megabytes: float) -> Iterator[str]:
    """Texts of `source` spread evenly over the file, about `megabytes` (10^6 bytes) in all.

    Reads the file twice; the same texts every time. Errors as in `read_texts`.
    """
    total = sum(len(text.encode()) for text in read_texts(source))
    share = min(1.0, megabytes * 1e6 / max(total, 1))
    due = kept = 0.0
    for text in read_texts(source):
        due += share * len(text.encode())
        if text and kept < due:
            kept += len(text.encode())
            yield text


def _split_source(source: str) -> tuple[Path, str]:
    if Path(source).is_file():  # a name may hold a colon itself
        return Path(source), ""
    name, _, column = source.rpartition(":")
    if name and Path(name).is_file():
        return Path(name), column
    raise NotFoundError(f"There is no file {source}; give {HELP}.")


def _open_text(path: Path) -> IO[str]:
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    return opener(path, "rt", encoding="utf-8", newline="")  # type: ignore[operator]


def _read_column(path: Path, lines: IO[str], column: str) -> Iterator[str]:
    if ".csv" in path.suffixes:
        rows = csv.reader(lines)
    else:  # tabs need no quoting, and reviews are full of unpaired quotation marks
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    if column.isdigit():
        index = int(column) - 1
    else:
        header = next(rows, [])
        if column not in header:
            raise DataError(
                f"{path}, line 1, has no column {column!r} but {', '.join(header) or 'nothing'}; "
                "name one of those, or a number counted from 1 if there is no header."
            )
        index = header.index(column)
    yield from (row[index] for row in rows if len(row) > index)
