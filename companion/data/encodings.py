"""Saying where a text file is not in the encoding it was read in, and which it may be in."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from charset_normalizer import from_bytes

from companion.errors import DataError, SettingsError

SAMPLE_BYTES = 1 << 16
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What Chinese and English tables come in; fewer candidates make fewer wrong guesses.
CANDIDATES = ["utf_8", "gb18030", "big5", "cp1252"]


@contextmanager
def open_text(path: Path, encoding: str, newline: str | None) -> Iterator[IO[str]]:
    """Open a text file, plain or .gz, for streamed reading.

    Args:
        path: the file.
        encoding: its encoding; a byte-order mark of UTF-8 is skipped.
        newline: as for `open`.

    Raises (while reading, too):
        DataError: a byte that the encoding does not know, or a damaged .gz file.
        SettingsError: no encoding has this name.
    """
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise SettingsError(
            f"There is no encoding {encoding!r}; usual names are utf-8, gb18030, big5 and utf-16."
        ) from None
    try:
        with _open_bytes(path) as raw:
            yield io.TextIOWrapper(
                raw, encoding="utf-8-sig" if name == "utf-8" else name, newline=newline
            )
    except UnicodeDecodeError as error:
        raise DataError(describe_bad_bytes(path, name, error)) from error
    except UnicodeError as error:  # UTF-16 without its mark
        raise DataError(f"{path} cannot be read as {name}: {error}.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged or incomplete .gz file ({error}); fetch or pack it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open_bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path))
    return path.open("rb")


def describe_bad_bytes(path: Path, encoding: str, error: UnicodeDecodeError) -> str:
    """The sentence for a file that is not in `encoding`: line, byte, likely encoding, remedy."""
    with _open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as bad:
                place = f"{path}, line {number}, byte {bad.start + 1}"
                value = line[bad.start]
                break
        else:  # an encoding that a line of bytes cannot be decoded in, such as UTF-16
            place, value = f"{path}", error.object[error.start]
    found = f"{place}: the byte 0x{value:02x} is not {encoding.upper()}."
    likely = guess_encoding(path)
    if likely and codecs.lookup(likely).name != encoding:
        return (
            f"{found} The file seems to be {likely.upper()}: pass --encoding {likely} "
            f'(in Python encoding="{likely}"), or save it as UTF-8.'
        )
    return f"{found} Most of the file is {encoding.upper()}, so mend this line, or save it anew."


def guess_encoding(path: Path) -> str | None:
    """The likely encoding of a file, from its mark, its zero bytes or its characters."""
    with _open_bytes(path) as file:
        sample = file.read(SAMPLE_BYTES)
    if len(sample) == SAMPLE_BYTES:  # do not end in the middle of a character
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    for mark, name in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return name
    zeros = [sample[start:100:2].count(0) for start in (0, 1)]  # of the header, mostly ASCII
    if max(zeros) >= 4 and max(zeros) > 3 * min(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if _mostly_utf8(sample):
        return "utf-8"
    best = from_bytes(sample, cp_isolation=CANDIDATES).best()
    return None if best is None else {"utf_8": "utf-8"}.get(best.encoding, best.encoding)


def _mostly_utf8(sample: bytes) -> bool:
    """True for text in UTF-8 with a few bad bytes: at most one in a hundred characters."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    sound = sum(character > "\x7f" for character in text) - broken
    return broken * 100 <= sound
