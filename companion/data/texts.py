"""Texts without labels, for prediction: the lines of a file, or one column of a table."""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from companion.data.columns import Columns
from companion.data.encodings import open_text
from companion.data.readers import read_rows, table_format
from companion.data.rows import DataWarning
from companion.errors import DataError, NotFoundError


def read_texts(
    path: str | Path, *, text_column: str = "text", encoding: str = "utf-8"
) -> list[str]:
    """The texts of a file: a CSV, TSV, JSONL or Parquet table's column, or each line of any other.

    Empty ones are left out, with a `DataWarning` that counts them.

    Raises:
        NotFoundError: there is no such file.
        DataError: another encoding, no such column, a damaged file, or nothing in it.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"There is no file {path} to read texts from.")
    if table_format(path) in (None, ".txt"):
        with open_text(path, encoding, newline=None) as file:
            return without_empty((line.rstrip("\n") for line in file), str(path))
    # A table without labels has the same rows as one with them; the text stands in for its label.
    columns = Columns(text=text_column, label=text_column, split=None)
    return without_empty(
        (text or "" for _, text, _, _ in read_rows(path, columns, encoding)), str(path)
    )


def read_lines(stream: BinaryIO, *, name: str, encoding: str = "utf-8") -> list[str]:
    """The lines of a stream of bytes, such as standard input, without the empty ones.

    Raises:
        DataError: a byte that the encoding does not know, or no text at all.
    """
    try:
        lines = io.StringIO(stream.read().decode(encoding), newline=None)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not {encoding} (byte {error.start + 1}). Name its encoding with "
            "--encoding, such as --encoding gb18030."
        ) from error
    return without_empty((line.rstrip("\n") for line in lines), name)


def without_empty(texts: Iterable[str], name: str) -> list[str]:
    """The texts that hold something; warns of the others, and refuses to return none."""
    kept, empty = [], 0
    for text in texts:
        if text.strip():
            kept.append(text)
        else:
            empty += 1
    if not kept:
        raise DataError(f"{name} holds no text.")
    if empty:
        warnings.warn(f"{name}: {empty:,} empty lines were left out.", DataWarning, stacklevel=3)
    return kept
