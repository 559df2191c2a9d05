"""Rows out of a CSV, TSV, JSONL or Parquet file, one after the other.

Nothing here knows what a row means; `companion.data.tables` makes a data set of them. Files
are streamed: a table may be larger than a text editor would open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from companion.data.columns import Columns, Row, find_columns
from companion.data.delimited import read_csv, read_tsv, text_lines
from companion.data.encodings import open_text
from companion.errors import DataError

TEXT_FORMATS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")


def table_format(path: Path) -> str | None:
    """The suffix that says how a file is read, `.gz` aside; None if it is no table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        return ".parquet"
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in TEXT_FORMATS else None


def read_rows(path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    """The rows of a table file.

    Raises (while iterating, too):
        DataError: the file is empty, damaged, in another encoding, or lacks a column.
    """
    suffix = table_format(path)
    if suffix is None:
        hint = " Save the sheet as CSV UTF-8." if path.suffix in (".xlsx", ".xls") else ""
        raise DataError(
            f"{path} is not a table that can be read: its name must end in .parquet or, also "
            f"with .gz, in {', '.join(TEXT_FORMATS)}.{hint}"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: it has no header line and no rows.")
    if suffix == ".parquet":
        return _read_parquet(path, columns)
    if suffix in (".jsonl", ".ndjson"):
        return _read_jsonl(path, columns, encoding)
    return (read_csv if suffix == ".csv" else read_tsv)(path, columns, encoding)


def _read_jsonl(path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    with open_text(path, encoding, newline="\n") as file:
        first = True
        for number, line in enumerate(text_lines(path, file), start=1):
            if not line.strip():
                continue
            row = _parse_json(path, number, line.rstrip("\r\n"))
            if first:
                find_columns(path, list(row), columns)
                first = False
            text = row.get(columns.text)
            if not isinstance(text, str | None):
                raise DataError(
                    f"{path}, line {number}: the column {columns.text!r} holds "
                    f"{json.dumps(text)[:40]}, expected a text between double quotes."
                )
            split = row.get(columns.split) if columns.split else None
            yield number, text, row.get(columns.label), None if split is None else str(split)


def _parse_json(path: Path, number: int, line: str) -> dict[str, Any]:
    expected = 'expected one object a line, such as {"text": "...", "label": "..."}'
    try:
        row = json.loads(line)
    except ValueError as error:
        reason = str(error)
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg} at character {error.pos + 1}"
        raise DataError(
            f"{path}, line {number}: this is not JSON ({reason}); {expected}."
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: found a JSON {type(row).__name__}; {expected}.")
    return row


def _read_parquet(path: Path, columns: Columns) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _, _, split = find_columns(path, schema.names, columns)
            _expect_text(path, columns.text, schema.field(columns.text).type)
            names = _class_names(schema, columns.label)
            wanted = [columns.text, columns.label, *([columns.split] if split is not None else [])]
            number = 0
            for batch in file.iter_batches(batch_size=10_000, columns=wanted):
                values = [batch.column(name).to_pylist() for name in wanted]
                splits = values[2] if split is not None else [None] * len(batch)
                for text, label, part in zip(*values[:2], splits, strict=True):
                    number += 1
                    if names and isinstance(label, int) and 0 <= label < len(names):
                        label = names[label]
                    yield number, text, label, None if part is None else str(part)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(
            f"{path} is not a sound Parquet file: it is damaged or incomplete ({reason}). "
            "Fetch or write it again."
        ) from error


def _expect_text(path: Path, name: str, kind: pa.DataType) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(
            f"{path}: the column {name!r} holds {kind}, expected text. If another column holds "
            "the texts, name it with --text-column."
        )


def _class_names(schema: pa.Schema, label_column: str) -> list[str] | None:
    """The names of the classes, where the library `datasets` has left them in the file."""
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = info.get("info", {}).get("features", {}).get(label_column)
    return feature.get("names") if isinstance(feature, dict) else None
