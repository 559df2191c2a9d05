"""CSV and TSV: records cut at commas or tabs, with the line each one begins on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from companion.data.columns import Columns, Row, find_columns
from companion.data.encodings import guess_encoding, open_text
from companion.errors import DataError

MAX_FIELD = 1 << 24  # characters; a longer field is an unclosed quote, not a text
SAMPLE_CHARACTERS = 1 << 22


def read_csv(path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    """The rows of a file with quoted fields, cut at commas, semicolons or tabs."""
    csv.field_size_limit(MAX_FIELD)
    with open_text(path, encoding, newline="") as file:
        lines = text_lines(path, file)
        first = next(lines, "")
        delimiter = _delimiter(first, columns.text)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        too_many = f"A text that holds {delimiter!r} must stand between double quotes"
        yield from _pick(path, columns, _records(path, reader), too_many)


def read_tsv(path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    """The rows of a file cut at tabs, where a quote is a character like any other.

    A file that clearly quotes its fields all the same is read as CSV.
    """
    if _quotes_fields(path, encoding):
        yield from read_csv(path, columns, encoding)
        return
    with open_text(path, encoding, newline="\n") as file:
        lines = enumerate(text_lines(path, file), start=1)
        records = ((n, line.rstrip("\r\n").split("\t")) for n, line in lines if line.strip("\r\n"))
        yield from _pick(path, columns, records, "A text must not hold a tab")


def text_lines(path: Path, file: IO[str]) -> Iterator[str]:
    """The lines of a text file; a zero character means it is not the text it should be."""
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            likely = guess_encoding(path) or ""
            remedy = "Remove it, or write the file anew"
            if likely.startswith("utf-16"):
                remedy = f"The file seems to be {likely.upper()}: pass --encoding {likely}"
            raise DataError(f"{path}, line {number}: found a NUL character. {remedy}.")
        yield line.removeprefix("\ufeff") if number == 1 else line


def _records(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The records of a csv.reader with the line each begins on: a quoted field may span many."""
    while True:
        start = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, line {start}: a double quote opens a field here that is not closed as "
                f'it should be ({error}). Write a quote inside a quoted text twice: "".'
            ) from error
        if record:  # a blank line gives none
            yield start, record


def _pick(
    path: Path, columns: Columns, records: Iterator[tuple[int, list[str]]], too_many: str
) -> Iterator[Row]:
    """The wanted columns of records that all must be as long as the header.

    `too_many` says what to do about a record that is longer.
    """
    header = list(columns.header or next(records, (0, []))[1])
    if not header:
        raise DataError(f"{path} is empty: it has no header line and no rows.")
    header = [name.strip() for name in header]
    text, label, split = find_columns(path, header, columns, ", or give the file a header line")
    for line, record in records:
        if len(record) != len(header):
            too_few = "A column is missing, or a line end broke a text that is not quoted"
            raise DataError(
                f"{path}, line {line}: found {len(record)} column{'s'[: len(record) != 1]}, "
                f"expected {len(header)} "
                f"({', '.join(header)}). {too_many if len(record) > len(header) else too_few}."
            )
        yield line, record[text], record[label], None if split is None else record[split]


def _delimiter(header: str, text_column: str) -> str:
    """Comma, or what a spreadsheet wrote in its place if only that gives the text column."""
    for delimiter in ",;\t":
        names = next(csv.reader([header], delimiter=delimiter), [])
        if text_column in (name.strip() for name in names):
            return delimiter
    return ","


def _quotes_fields(path: Path, encoding: str) -> bool:
    """Whether a file cut at tabs also quotes fields, as `to_csv(sep="\\t")` does.

    Most such files do not, and hold bare quotes (SST-2 does). So a file quotes only if every
    field that begins with a quote is properly quoted, and some needs it: it holds a tab, a
    line end or a doubled quote, or the header itself is quoted.
    """
    with open_text(path, encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
    if not re.search(r'(?:^|[\t\r\n])"', sample):
        return False
    quoted = re.findall(r'(?:^|(?<=[\t\r\n]))"((?:[^"]|"")*)"(?=[\t\r\n]|$)', sample)
    needed = sample.startswith('"') or any(re.search(r'""|[\t\r\n]', field) for field in quoted)
    widths = []
    try:
        for record in csv.reader(io.StringIO(sample, newline=""), "excel-tab", strict=True):
            widths.append(len(record))
    except csv.Error as error:
        if len(sample) < SAMPLE_CHARACTERS or "unexpected end" not in str(error):
            return False
    if len(sample) == SAMPLE_CHARACTERS:
        widths = widths[:-1]  # the sample ends within a record
    return needed and len(set(widths) - {0}) == 1
