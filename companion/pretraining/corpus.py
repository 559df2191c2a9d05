"""A corpus in packed rows, read from memory-mapped files (chapter 8).

A folder that `prepare_corpus` has written holds, for the splits `train` and `dev`,

| file | what it holds |
| --- | --- |
| SPLIT.rows.bin | the packed rows, (rows, T) ids |
| SPLIT.tokens.bin | the ids of all documents, none special, in their order |
| SPLIT.paragraphs.bin | int64: how many tokens there are up to the end of each paragraph |
| SPLIT.documents.bin | int64: how many paragraphs there are up to the end of each document |

and tokenizer.json and manifest.json. Ids are uint16 where the vocabulary allows it, uint32 else.
Every row and every document belongs to one source, and those of a source stand together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import torch
from torch import Tensor

from companion.errors import DataError, NotFoundError, SettingsError
from companion.pretraining.sifting import SPLITS
from companion.text import WordPieceTokenizer

FORMAT = 1
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
PARTIAL = ".partial"  # the end of the name of a folder that is being written


class PackedCorpus:
    """The rows and documents of a corpus, and its manifest; made by `load`.

    Attributes: `folder`; `manifest`, everything that is known about the corpus (sources with
    their hashes and counts, splits, files, settings, versions); `row_length`, T; `vocab_size`.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.row_length: int = manifest["row_length"]
        self.vocab_size: int = manifest["tokenizer"]["vocab_size"]

    @classmethod
    def load(cls, folder: str | Path, verify: bool = True) -> PackedCorpus:
        """Open a corpus. Nothing but the manifest stays in memory.

        Args:
            folder: where `prepare_corpus` has put it.
            verify: also compare the hash of every file with the manifest's, which reads them
                all; sizes are always compared.

        Raises:
            NotFoundError: there is no such folder.
            DataError: the folder is no corpus, is not finished, or a file of it is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise NotFoundError(
                f"There is no corpus {folder}: no such folder. Make one with prepare_corpus or "
                "`companion pretrain`."
            )
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            known = manifest["format"] == FORMAT and folder.suffix != PARTIAL
            files = dict(manifest["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder} is no whole corpus: it has no {MANIFEST} that can be read. If its "
                "preparation was interrupted, delete it and prepare it again."
            ) from error
        if not known:
            raise DataError(
                f"{folder} is the unfinished folder of a preparation, or was written by another "
                "version of this package. Prepare the corpus again."
            )
        for name, facts in files.items():
            _check_file(folder / name, facts["bytes"], facts["sha256"] if verify else None)
        return cls(folder, manifest)

    @property
    def tokenizer(self) -> WordPieceTokenizer:
        """The tokenizer that made the ids, from the corpus's own copy."""
        return WordPieceTokenizer.from_folder(self.folder)

    @property
    def languages(self) -> list[str]:
        """The languages of the sources, each once, in their order."""
        return list(dict.fromkeys(source["language"] for source in self.manifest["sources"]))

    def split(
        self, name: str, source: str | None = None, language: str | None = None
    ) -> CorpusSplit:
        """The rows and documents of `train` or `dev`: all, or those of one source or language.

        Raises:
            SettingsError: there is no such split, source or language.
        """
        if name not in SPLITS:
            raise SettingsError(f"A corpus has the splits {' and '.join(SPLITS)}, not {name!r}.")
        chosen = [
            facts
            for facts in self.manifest["sources"]
            if source in (None, facts["name"]) and language in (None, facts["language"])
        ]
        if not chosen:
            names = ", ".join(f"{s['name']} ({s['language']})" for s in self.manifest["sources"])
            wanted = " and ".join(repr(x) for x in (source, language) if x is not None)
            raise SettingsError(f"The corpus {self.folder} has no source {wanted}; it has {names}.")
        return CorpusSplit(
            self,
            name,
            rows=[facts[name]["rows"] for facts in chosen],
            documents=[facts[name]["documents"] for facts in chosen],
        )


class CorpusSplit:
    """Packed rows by number, and the documents they were made of.

    Attributes: `documents`, a sequence; each document is a list of paragraphs, each a list of
    ids, none special.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        name: str,
        rows: Sequence[Sequence[int]],
        documents: Sequence[Sequence[int]],
    ) -> None:
        kind = np.dtype(corpus.manifest["dtype"])
        special = corpus.manifest["tokenizer"]["special"]
        self._cls, self._pad = special["[CLS]"], special["[PAD]"]
        self._rows = _map(corpus.folder / f"{name}.rows.bin", kind).reshape(-1, corpus.row_length)
        self._numbers = _Ranges(rows)
        self.documents = Documents(corpus.folder, name, kind, documents)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._numbers)

    def rows(self, row_numbers: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Rows by number, from 0 to `len(split)` - 1.

        Returns:
            `input_ids` and `documents`, each (rows, T), int64. `documents` numbers the pieces
            of a row 1, 2, ... and is 0 at padding: what `companion.model` takes as
            `attention_mask`. Each piece begins with [CLS], so its positions restart there.
        """
        packed = self._rows[self._numbers[np.asarray(row_numbers, dtype=np.int64)]]  # (rows, T)
        documents = (packed == self._cls).cumsum(axis=1) * (packed != self._pad)
        return torch.from_numpy(packed.astype(np.int64)), torch.from_numpy(documents)

    def paragraphs(self, document: int) -> list[list[int]]:
        """The paragraphs of a document, each a list of ids; the same as `documents[document]`."""
        return self.documents[document]


class Documents(Sequence[list[list[int]]]):
    """The documents of a split as lists of paragraphs of ids, read when they are asked for."""

    def __init__(
        self, folder: Path, split: str, kind: np.dtype, ranges: Sequence[Sequence[int]]
    ) -> None:
        self._tokens = _map(folder / f"{split}.tokens.bin", kind)
        self._paragraph_ends = _map(folder / f"{split}.paragraphs.bin", np.dtype("<i8"))
        self._document_ends = _map(folder / f"{split}.documents.bin", np.dtype("<i8"))
        self._numbers = _Ranges(ranges)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> list[list[int]]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[list[int]]]: ...
    def __getitem__(self, index: int | slice) -> list[list[int]] | list[list[list[int]]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = int(self._numbers[np.array(index)])
        first = int(self._document_ends[number - 1]) if number else 0
        ends = self._paragraph_ends[first : self._document_ends[number]]
        start = int(self._paragraph_ends[first - 1]) if first else 0
        tokens = np.array(self._tokens[start : ends[-1]])
        return [part.tolist() for part in np.split(tokens, np.asarray(ends[:-1]) - start)]


class _Ranges:
    """Numbers 0, 1, 2, ... for the members of several ranges of numbers, one after the other."""

    def __init__(self, ranges: Sequence[Sequence[int]]) -> None:
        limits = np.array(ranges, dtype=np.int64).reshape(-1, 2)
        self._ends = (limits[:, 1] - limits[:, 0]).cumsum()
        self._shifts = limits[:, 1] - self._ends

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        wrapped = np.where(numbers < 0, numbers + len(self), numbers)
        if ((wrapped < 0) | (wrapped >= len(self))).any():
            raise IndexError(f"{numbers} holds a number outside of 0 to {len(self) - 1}.")
        return wrapped + self._shifts[np.searchsorted(self._ends, wrapped, side="right")]


def _map(path: Path, kind: np.dtype) -> np.ndarray:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.empty(0, dtype=kind)
    return cast(np.ndarray, np.memmap(path, dtype=kind, mode="r"))


def _check_file(path: Path, size: int, sha256: str | None) -> None:
    remedy = "The corpus is damaged: delete its folder and prepare it again, or copy it once more."
    if not path.is_file():
        raise DataError(f"{path} is missing. {remedy}")
    if path.stat().st_size != size:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes, expected {size:,}. {remedy}")
    if sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise DataError(f"{path} has changed since it was written (its SHA-256). {remedy}")
