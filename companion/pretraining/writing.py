"""The files of a corpus while it is being made: appended to, hashed, flushed (chapter 8)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from companion.errors import DataError
from companion.pretraining.packing import SPECIAL, cut_document, fill_rows, pack

POOL_TOKENS = 1 << 22  # packed together; what bounds the memory of packing
# Inside a paragraph: because it is longer than a row by itself, or because a row had a gap.
CUTS = ("cuts_of_long_paragraphs", "cuts_to_fill_rows")


@dataclass(frozen=True)
class RowFormat:
    """What a row looks like: its length, its type of numbers and its special tokens."""

    row_length: int
    dtype: np.dtype
    special: dict[str, int]


class AppendedFile:
    """A file that only grows; knows its size and hash without being read again."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.size = 0
        self.digest = hashlib.sha256()

    def append(self, values: np.ndarray | bytes) -> None:
        content = values if isinstance(values, bytes) else values.tobytes()
        self.file.write(content)
        self.digest.update(content)
        self.size += len(content)

    def finish(self) -> dict[str, Any]:
        """Flush it to the disk and close it; its facts for the manifest."""
        self.file.flush()
        flush(self.file.fileno())
        self.file.close()
        return {"bytes": self.size, "sha256": self.digest.hexdigest()}

    def abandon(self) -> None:
        """Close it without writing what is still in memory; after `finish`, nothing."""
        self.file.raw.close()


def flush(descriptor: int) -> None:
    """Wait until the disk has what was written."""
    os.fsync(descriptor)


def rename_folder(folder: Path, final: Path) -> None:
    """Give a folder its final name, in one step and for good."""
    folder.replace(final)
    if os.name == "posix":  # elsewhere folders cannot be opened, and need not be
        descriptor = os.open(final.parent, os.O_RDONLY)
        try:
            flush(descriptor)
        finally:
            os.close(descriptor)


class SplitWriter:
    """Writes the documents of one split, and packs them into rows in pools of bounded size.

    Args:
        folder: where its four files go.
        name: train or dev.
        form: what its rows look like.
        seed: decides which pieces share a row, and the order of rows.
    """

    def __init__(self, folder: Path, name: str, form: RowFormat, seed: int) -> None:
        self.name, self.form, self.seed = name, form, seed
        kinds = ("rows", "tokens", "paragraphs", "documents")
        self.files = {kind: AppendedFile(folder / f"{name}.{kind}.bin") for kind in kinds}
        self.counts = dict.fromkeys(
            ("documents", "paragraphs", "tokens", "rows", "pieces", *CUTS), 0
        )
        self.pools = 0
        self.pool: list[np.ndarray] = []  # the tokens of each document
        self.pool_pieces: list[int] = []  # the tokens of each piece
        self.pool_tokens = 0

    def add(self, paragraphs: list[np.ndarray]) -> None:
        """Append a document: the ids of each of its paragraphs."""
        sizes = np.array([len(paragraph) for paragraph in paragraphs], dtype="<i8")
        tokens = np.concatenate(paragraphs)
        self.files["tokens"].append(tokens)
        self.files["paragraphs"].append(self.counts["tokens"] + sizes.cumsum())
        self.counts["documents"] += 1
        self.counts["paragraphs"] += len(sizes)
        self.counts["tokens"] += len(tokens)
        self.files["documents"].append(np.array([self.counts["paragraphs"]], dtype="<i8"))
        pieces, inside = cut_document(sizes.tolist(), self.form.row_length - SPECIAL)
        self.pool.append(tokens)
        self.pool_pieces += pieces
        self.pool_tokens += len(tokens)
        self.counts[CUTS[0]] += inside
        if self.pool_tokens >= POOL_TOKENS:
            self.pack_pool()

    def pack_pool(self) -> None:
        """Pack what has gathered, so that no row holds text from before and after."""
        if not self.pool:
            return
        tokens = np.concatenate(self.pool)
        special = self.form.special
        if np.isin(tokens, [special[name] for name in special if name != "[UNK]"]).any():
            raise DataError(
                "The tokenizer turns ordinary text into a special token such as [CLS], which "
                "marks where a document begins. Register its special tokens as special."
            )
        sizes = np.array(self.pool_pieces, dtype=np.int64)
        rng = np.random.default_rng((self.seed, self.name == "dev", self.pools))
        placement = pack(sizes.cumsum() - sizes, sizes, self.form.row_length, rng)
        marks = special["[CLS]"], special["[SEP]"], special["[PAD]"]
        for rows in fill_rows(tokens, placement, self.form.row_length, *marks):
            self.files["rows"].append(rows)
        self.counts["rows"] += len(placement.ends)
        self.counts["pieces"] += len(placement.starts)
        self.counts[CUTS[1]] += placement.cuts
        self.pools += 1
        self.pool, self.pool_pieces, self.pool_tokens = [], [], 0

    def place(self) -> dict[str, int]:
        """How many rows, documents and tokens there are so far, with all of them packed."""
        self.pack_pool()
        return {key: self.counts[key] for key in ("rows", "documents", "tokens")}

    def abandon(self) -> None:
        """Close the files whatever their state; after a failure, and after success too."""
        for file in self.files.values():
            file.abandon()

    def facts(self) -> dict[str, Any]:
        """The counts, and the share of positions in use."""
        positions = self.counts["rows"] * self.form.row_length
        used = self.counts["tokens"] + SPECIAL * self.counts["pieces"]
        return self.counts | {"positions_in_use": used / positions if positions else 0.0}
