"""From the sources a user names to a stream of documents; no file is ever read as a whole.

A document is a list of lines, each a paragraph. In a text file a blank line ends it; in a table
each row of train is one. Errors name file, line and remedy.
"""

from __future__ import annotations

import glob
import gzip
import io
import lzma
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from companion.data import DATASETS, DataWarning
from companion.data.columns import Columns
from companion.data.encodings import guess_encoding
from companion.data.lookup import find_entry, locate_dataset
from companion.data.readers import read_rows, table_format
from companion.data.rows import SPLIT_NAMES
from companion.errors import DataError, NotFoundError, SettingsError

MAX_LINE = 1 << 20  # bytes; what is longer is not one paragraph a line
MAX_DOCUMENT = 1 << 20  # characters; what is longer was not cut by blank lines
TEXT_SUFFIXES = (".txt", ".txt.gz", ".txt.xz", ".gz", ".xz")
KINDS = (
    "a text file (also .gz or .xz) with one paragraph a line and a blank line between documents, "
    "a folder or a pattern of such files, a table (TABLE:COLUMN if its column is not `text`), or a "
    "registry name such as imdb"
)


@dataclass(frozen=True)
class Source:
    """One file of texts. `columns` and `split` are those of a table, `language` if it is known."""

    name: str
    path: Path
    columns: Columns | None = None
    split: str | None = None
    language: str | None = None

    def documents(self, advance: Callable[[int], object] = lambda _: None) -> Iterator[list[str]]:
        """Its documents; `advance` is told how many bytes of the file were read since last time.

        Raises (while reading):
            DataError: an empty or damaged file, bytes that are not UTF-8, or an endless line.
        """
        empty = True
        reader = self._text_documents(advance) if self.columns is None else self._rows(self.columns)
        for document in reader:
            empty = False
            yield document
        if empty:
            raise DataError(f"{self.path} holds no text. Remove it, or fetch or write it again.")

    def _text_documents(self, advance: Callable[[int], object]) -> Iterator[list[str]]:
        document: list[str] = []
        size = cut = 0
        for number, line in _lines(self.path, advance):
            blank = not line or line.isspace()
            if not blank:
                document.append(line)
                size += len(line)
                if size > MAX_DOCUMENT:
                    cut = cut or number
            if document and (blank or size > MAX_DOCUMENT):
                yield document
                document, size = [], 0
        if document:
            yield document
        if cut:
            warnings.warn(
                f"{self.path} holds more than {MAX_DOCUMENT:,} characters without a blank line "
                f"before line {cut}. Such stretches were cut as if they were several documents; "
                "put a blank line between documents.",
                DataWarning,
                stacklevel=2,
            )

    def _rows(self, columns: Columns) -> Iterator[list[str]]:
        for line, text, _, part in read_rows(self.path, columns, "utf-8"):
            if part is not None and self.split != SPLIT_NAMES.get(part.strip().lower(), "train"):
                continue
            if text and not text.isspace():
                if len(text) > MAX_LINE:
                    raise DataError(_too_long(self.path, line))
                yield [text]


def find_sources(given: str | Path | Iterable[str | Path]) -> list[Source]:
    """The files behind the sources that a user names, in that order, each with a name of its own.

    Args:
        given: one or more of: a text file; a folder, which stands for the text files in it; a
            pattern such as `wiki/*.txt.xz`; a table, whose column `text` is read unless another
            follows a colon (`reviews.csv:review`; rows that its column `split` gives to dev or
            test are left out); a name of the registry, which stands for train (`NAME:test` for
            another split).

    Raises:
        NotFoundError: nothing is there.
        SettingsError: no source, or one file twice.
    """
    listed = [given] if isinstance(given, str | Path) else list(given)
    found = [source for one in listed for source in _expand(str(one))]
    if not found:
        raise SettingsError(f"A corpus needs at least one source: {KINDS}.")
    paths = Counter((source.path.resolve(), source.split, source.columns) for source in found)
    (twice, times), *_ = paths.most_common(1)
    if times > 1:
        raise SettingsError(f"{twice[0]} is named {times} times among the sources; once is enough.")
    names = Counter(source.name for source in found)
    found = [
        source if names[source.name] == 1
        else replace(source, name=f"{source.path.parent.name}-{source.name}")
        for source in found
    ]  # fmt: skip
    taken: Counter[str] = Counter()
    for i, source in enumerate(found):
        taken[source.name] += 1
        if taken[source.name] > 1:
            found[i] = replace(source, name=f"{source.name}-{taken[source.name]}")
    return found


def _expand(given: str) -> list[Source]:
    entry = find_entry(given)
    head, _, detail = given.rpartition(":")
    if entry is not None or head in DATASETS:
        return _registered(given if entry is not None else head, detail if entry is None else "")
    path = Path(given).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        texts = [p for p in files if p.name.lower().endswith(TEXT_SUFFIXES)]
        if not texts:
            raise NotFoundError(
                f"The folder {path} holds no text file ({', '.join(TEXT_SUFFIXES)}). Name a "
                "table in it by its own path."
            )
        return [_file(p, "") for p in texts]
    if path.is_file():
        return [_file(path, "")]
    if head and Path(head).expanduser().is_file():
        return [_file(Path(head).expanduser(), detail)]
    matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())  # noqa: PTH207
    if not matches:
        raise NotFoundError(f"There is no source {given}. Give {KINDS}.")
    return [_file(p, "") for p in matches]


def _file(path: Path, column: str) -> Source:
    name = path.name
    while (suffix := Path(name).suffix.lower()) in (".gz", ".xz", ".txt"):
        name = name[: -len(suffix)]
    kind = table_format(path)
    if kind in (None, ".txt"):
        if column:
            raise SettingsError(f"{path} is plain text, so {column!r} cannot be a column of it.")
        return Source(name, path)
    name = name.removesuffix(kind or "") or name
    column = column or "text"
    return Source(name, path, Columns(column, column), split="train")


def _registered(name: str, split: str) -> list[Source]:
    entry = find_entry(name)
    assert entry is not None
    wanted = SPLIT_NAMES.get(split or "train")
    layout, paths = locate_dataset(entry)
    columns = Columns(
        layout.text_column,
        layout.text_column,
        "split" if entry.shipped else None,
        header=layout.header,
    )
    label = entry.name if wanted == "train" else f"{entry.name}-{wanted}"
    sources = [
        Source(label, path, columns, wanted, entry.language)
        for file, path in zip(layout.files, paths, strict=True)
        if file.split == wanted or (entry.shipped and wanted)
    ]
    if not sources:
        has = ", ".join(dict.fromkeys(file.split for file in layout.files))
        raise SettingsError(f"{entry.name} has no split {split!r}; it has {has}.")
    return sources


def _lines(path: Path, advance: Callable[[int], object]) -> Iterator[tuple[int, str]]:
    """The numbered lines of a UTF-8 text file, plain, .gz or .xz, without their ends."""
    number = position = 0
    try:
        with path.open("rb") as raw:
            file = _unpacked(path, raw)
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise DataError(_too_long(path, number))
                text = _decoded(path, number, line)
                yield number, text.removeprefix("\ufeff") if number == 1 else text
                if (now := raw.tell()) != position:
                    advance(now - position)
                    position = now
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is damaged or incomplete after line {number} "
            f"({str(error).rstrip('.')}). Fetch or pack it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _unpacked(path: Path, raw: BinaryIO) -> io.BufferedReader:
    suffix = path.suffix.lower()
    if suffix == ".xz":
        return io.BufferedReader(lzma.LZMAFile(raw), 1 << 16)
    if suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 16)
    return cast(io.BufferedReader, raw)


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        place = f"{path}, line {number}, byte {error.start + 1}"
        found = f"{place}: the byte 0x{line[error.start]:02x} is not UTF-8."
        raise DataError(f"{found} {_remedy(path)}") from error
    if "\0" in text:
        raise DataError(f"{path}, line {number}: found a NUL character. {_remedy(path)}")
    return text


def _remedy(path: Path) -> str:
    with path.open("rb") as raw, tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.txt"  # the guess is made from a plain file
        sample.write_bytes(_unpacked(path, raw).read(1 << 16))
        likely = guess_encoding(sample)
    if likely is None or likely == "utf-8":
        return "The file before is UTF-8, so mend this line, or fetch or write the file again."
    return (
        f"The file seems to be {likely.upper()}: save it as UTF-8, such as with "
        f"`iconv -f {likely.upper()} -t UTF-8`."
    )


def _too_long(path: Path, line: int) -> str:
    return (
        f"{path}, line {line} is longer than {MAX_LINE:,} bytes. A corpus has one paragraph a line "
        "and a blank line between documents: break this line, or remove it."
    )
