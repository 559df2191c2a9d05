"""Is a text inside the corpus? The proof that a model has not read a test (chapter 8).

`prepare_corpus` leaves out the documents and paragraphs that equal an excluded text. What could
still hide is a text in the middle of a longer paragraph. This looks for every text, token by
token, anywhere in the train split of a prepared corpus:

    python -m companion.pretraining.overlap runs/corpus --texts sst2:dev imdb:test
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from companion.errors import CompanionError
from companion.pretraining.bulk import bulk_tokenizer, tokenised
from companion.pretraining.cleaning import clean_paragraphs
from companion.pretraining.corpus import PackedCorpus
from companion.pretraining.reading import find_sources

LEAST = 10  # tokens: shorter texts ("a very good film") stand in any large corpus
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
BITS = 24  # of a hash that the first sieve looks at
AT_ONCE = 1 << 22  # windows: what this holds in memory


@dataclass(frozen=True)
class Overlap:
    """What became of the texts of one source.

    Attributes: `texts`, how many were looked for; `short`, how many more have fewer than `LEAST`
    tokens and were not; `found`, those that stand in the corpus, whole.
    """

    name: str
    texts: int
    short: int
    found: list[str]


def find_texts(corpus: PackedCorpus, texts: str | Path | Iterable[str | Path]) -> list[Overlap]:
    """Look for each text in all documents that a model of this corpus is trained on.

    Two texts are the same when their tokens are, so neither case nor spaces matter.

    Args:
        corpus: as `PackedCorpus.load` opens it.
        texts: sources as `prepare_corpus` takes them in `exclude`.

    Raises DataError, NotFoundError or SettingsError for sources that cannot be read.
    """
    bulk, _ = bulk_tokenizer(corpus.tokenizer)
    dtype = np.dtype(corpus.manifest["dtype"])
    stream = np.memmap(corpus.folder / "train.tokens.bin", dtype=dtype, mode="r")
    result = []
    for source in find_sources(texts):
        lines = [" ".join(document) for document in source.documents()]
        cleaned = (("", list(clean_paragraphs(line)) or [""]) for line in lines)
        ids = [
            np.concatenate([*parts, np.empty(0, dtype)])
            for _, parts in tokenised(bulk, cleaned, dtype)
        ]
        wanted = [(text, i) for text, i in zip(lines, ids, strict=True) if len(i) >= LEAST]
        places = window_places(stream, np.array([i[:LEAST] for _, i in wanted], dtype=dtype))
        found = [
            text
            for (text, i), starts in zip(wanted, places, strict=True)
            if any(np.array_equal(stream[start : start + len(i)], i) for start in starts)
        ]
        result.append(Overlap(source.name, len(wanted), len(lines) - len(wanted), found))
    return result


def window_places(stream: np.ndarray, windows: np.ndarray) -> list[list[int]]:
    """Where in `stream` (n,) each row of `windows` (k, L) stands, as starts in ascending order."""
    length = windows.shape[-1]
    known = defaultdict(list)
    for row, window in enumerate(windows.tolist()):
        known[tuple(window)].append(row)
    places: list[list[int]] = [[] for _ in windows]
    sieve = np.zeros(1 << BITS, dtype=bool)
    if len(windows):
        sieve[_hashes(windows.ravel(), length)[::length]] = True
    for begin in range(0, max(len(stream) - length + 1, 0) if len(windows) else 0, AT_ONCE):
        part = np.asarray(stream[begin : begin + AT_ONCE + length - 1])
        for start in np.flatnonzero(sieve[_hashes(part, length)]).tolist():
            for row in known.get(tuple(part[start : start + length].tolist()), ()):
                places[row].append(begin + start)
    return places


def _hashes(ids: np.ndarray, length: int) -> np.ndarray:
    """A number below 2^BITS for each window of `length` ids, equal for equal windows."""
    result = np.zeros(len(ids) - length + 1, dtype=np.uint64)
    for offset in range(length):
        result = result * MULTIPLIER + ids[offset : offset + len(result)].astype(np.uint64) + 1
    return ((result * MULTIPLIER) >> np.uint64(64 - BITS)).astype(np.int64)


def main(arguments: list[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.pretraining.overlap",
        description="Look for texts in the train split of a prepared corpus; Markdown table.",
    )
    parser.add_argument("corpus", help="a folder that `companion prepare` has made")
    parser.add_argument(
        "--texts", nargs="+", required=True, help="files or names, as in `prepare --exclude`"
    )
    options = parser.parse_args(arguments)
    try:
        overlaps = find_texts(PackedCorpus.load(options.corpus, verify=False), options.texts)
    except CompanionError as error:
        parser.exit(2, f"{error}\n")
    print(f"| source | texts of at least {LEAST} tokens | shorter | found in the corpus |")
    print("| --- | --- | --- | --- |")
    for overlap in overlaps:
        counts = f"{overlap.texts:,} | {overlap.short:,} | {len(overlap.found):,}"
        print(f"| {overlap.name} | {counts} |")
    for overlap in overlaps:
        for text in overlap.found[:5]:
            print(f"\n{overlap.name}: {text[:80]}")


if __name__ == "__main__":
    main(sys.argv[1:])
