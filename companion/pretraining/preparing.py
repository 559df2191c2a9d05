"""From raw text to a packed corpus, in one pass and in bounded memory (chapter 8).

Documents are streamed, cleaned, freed of repeats, tokenised in batches and packed. Nothing that
lies in memory grows with the corpus: a table of hashes (128 MiB), a batch of texts (1 MiB) with
its tokens, a pool of 4M tokens that is packed together, and the files' buffers. With the Python
libraries that are loaded it stays under 1 GiB, however large the corpus is; only the hashes of
`exclude` come on top.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tqdm.auto import tqdm

from companion.errors import CheckpointError, CompanionError, SettingsError
from companion.pretraining.bulk import bulk_tokenizer, tokenised
from companion.pretraining.corpus import FORMAT, MANIFEST, PARTIAL, TOKENIZER, PackedCorpus
from companion.pretraining.reading import Source, find_sources
from companion.pretraining.sifting import COUNTS, SPLITS, Filters, Texts, guess_language
from companion.pretraining.writing import AppendedFile, RowFormat, SplitWriter, rename_folder
from companion.text import WordPieceTokenizer

LANGUAGE_DOCUMENTS = 200  # that are looked at to tell a source's language


def prepare_corpus(
    sources: Texts,
    out: str | Path,
    *,
    tokenizer: WordPieceTokenizer | Tokenizer | str | Path,
    row_length: int = 128,
    dev_share: float = 0.005,
    seed: int = 42,
    languages: Mapping[str, str] | None = None,
    min_tokens: int = 5,
    deduplicate: bool = True,
    exclude: Texts = (),
    shares: Mapping[str, float] | None = None,
    progress: bool = True,
) -> PackedCorpus:
    """Make a packed corpus in the folder `out`, all of it or nothing.

    The same texts and settings give the same bytes. Whether a document is held out follows from
    its own letters alone, so it is the same in every corpus with the same `dev_share`.

    Args:
        sources: see `companion.pretraining.reading.find_sources`.
        out: a folder that does not exist yet, or is empty.
        tokenizer: a tokenizer with BERT's special tokens, or a folder that holds one.
        row_length: T, positions in a row.
        dev_share: the share of documents that are held out, as wholes.
        seed: decides which pieces share a row, and the order of rows.
        languages: the language of a source by its name, where it is not told from the text (zh
            if at least a third of its letters are Chinese characters, else en).
        min_tokens: documents with fewer tokens are left out.
        deduplicate: keep each paragraph only once, wherever it stands. Paragraphs that differ in
            case, punctuation or white space only count as the same.
        exclude: sources whose documents and paragraphs must not get in, such as test texts.
        shares: the share of the documents of a source that is taken, by its name; which ones
            follows from their letters, and the held-out ones are always among them.
        progress: show a bar.

    Raises:
        NotFoundError, DataError: a source that is not there or cannot be used.
        SettingsError: a setting outside its range, or `out` holds something.
        CheckpointError: the disk refused.
    """
    out = Path(out)
    _check_settings(out, row_length, dev_share, min_tokens)
    found = find_sources(sources)
    shares = dict(shares or {})
    _check_names(found, languages=languages or {}, shares=shares)
    bulk, special = bulk_tokenizer(tokenizer)
    size = bulk.get_vocab_size(with_added_tokens=True)
    form = RowFormat(row_length, np.dtype("<u2" if size <= 1 << 16 else "<u4"), special)
    folder = out.with_name(out.name + PARTIAL)
    shutil.rmtree(folder, ignore_errors=True)
    writers: dict[str, SplitWriter] = {}
    try:
        filters = Filters(exclude, dev_share, deduplicate)
        folder.mkdir(parents=True)
        pipeline = bulk.to_str().encode()
        files = {TOKENIZER: _write(folder / TOKENIZER, pipeline)}
        for name in SPLITS:
            writers[name] = SplitWriter(folder, name, form, seed)
        told = _tell_sources(
            found, languages or {}, shares, filters, bulk, writers, min_tokens, progress
        )
        for name, writer in writers.items():
            for kind, file in writer.files.items():
                files[f"{name}.{kind}.bin"] = file.finish()
        manifest = {
            "format": FORMAT,
            "row_length": row_length,
            "dtype": form.dtype.str,
            "settings": {
                "dev_share": dev_share,
                "seed": seed,
                "min_tokens": min_tokens,
                "deduplicate": deduplicate,
                "excluded_texts": len(filters.excluded),
                "shares": shares,
            },
            "tokenizer": {
                "sha256": hashlib.sha256(pipeline).hexdigest(),
                "vocab_size": size,
                "special": special,
            },
            "splits": {name: writer.facts() for name, writer in writers.items()},
            "sources": told,
            "files": files,
            "versions": {
                "companion": version("companion"),
                "tokenizers": version("tokenizers"),
                "numpy": np.__version__,
            },
        }
        if not writers["train"].counts["rows"]:
            raise SettingsError(
                f"Nothing is left to train on after cleaning: {_sum_up(told)}. Give more text, or "
                "smaller values of min_tokens and dev_share."
            )
        _write(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
        rename_folder(folder, out)
    except CompanionError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CheckpointError(
            f"The corpus {out} could not be written: "
            f"{'the disk is full' if full else error.strerror or error}. Nothing is left of it; "
            "free some space, or name a folder on another disk, and prepare it again."
        ) from error
    finally:
        for writer in writers.values():
            writer.abandon()
        shutil.rmtree(folder, ignore_errors=True)
    return PackedCorpus.load(out, verify=False)


def _tell_sources(
    sources: list[Source],
    languages: Mapping[str, str],
    shares: Mapping[str, float],
    filters: Filters,
    tokenizer: Tokenizer,
    writers: Mapping[str, SplitWriter],
    min_tokens: int,
    progress: bool,
) -> list[dict[str, Any]]:
    """Write all sources, one after the other; what the manifest says of each."""
    told = []
    total = sum(source.path.stat().st_size for source in sources)
    with tqdm(total=total, unit="B", unit_scale=True, disable=not progress) as bar:
        for source in sources:
            bar.set_description(source.name)
            before = {name: writer.place() for name, writer in writers.items()}
            start = bar.n
            counts = dict.fromkeys(COUNTS, 0)
            documents = source.documents(bar.update)
            first = list(islice(documents, LANGUAGE_DOCUMENTS))
            share = shares.get(source.name, 1.0)
            sifted = (filters.sift(d, counts, share) for d in chain(first, documents))
            for split, paragraphs in tokenised(tokenizer, sifted, writers["train"].form.dtype):
                if sum(map(len, paragraphs)) < min_tokens:
                    counts["documents_short"] += 1
                else:
                    writers[split].add(paragraphs)
            after = {name: writer.place() for name, writer in writers.items()}
            with source.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            told.append(
                {
                    "name": source.name,
                    "file": source.path.name,
                    "bytes": source.path.stat().st_size,
                    "sha256": digest,
                    "language": languages.get(source.name)
                    or source.language
                    or guess_language(first),
                    **counts,
                    **{
                        name: {
                            "rows": [before[name]["rows"], after[name]["rows"]],
                            "documents": [before[name]["documents"], after[name]["documents"]],
                            "tokens": after[name]["tokens"] - before[name]["tokens"],
                        }
                        for name in SPLITS
                    },
                }
            )
            bar.update(start + source.path.stat().st_size - bar.n)
    return told


def _check_names(sources: list[Source], **given: Mapping[str, Any]) -> None:
    """What is given by the name of a source names one; a share is one."""
    for setting, values in given.items():
        if unknown := set(values) - {source.name for source in sources}:
            raise SettingsError(
                f"{setting} names {', '.join(sorted(unknown))}, but the sources are "
                f"{', '.join(source.name for source in sources)}."
            )
    for name, share in given["shares"].items():
        if not 0 < share <= 1:
            raise SettingsError(f"The share of {name} is {share}; it lies above 0 and up to 1.")


def _check_settings(out: Path, row_length: int, dev_share: float, min_tokens: int) -> None:
    if not 8 <= row_length <= 8192:
        raise SettingsError(f"row_length is {row_length}; it must be from 8 to 8192.")
    if not 0 <= dev_share <= 0.5:
        raise SettingsError(f"dev_share is {dev_share}; it is a share, from 0 to 0.5.")
    if min_tokens < 1:
        raise SettingsError(f"min_tokens is {min_tokens}; it must be at least 1.")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SettingsError(
            f"{out} is there already. Load it with PackedCorpus.load, or delete it, or name "
            "another folder."
        )


def _write(path: Path, content: bytes) -> dict[str, Any]:
    file = AppendedFile(path)
    try:
        file.append(content)
        return file.finish()
    finally:
        file.abandon()


def _sum_up(told: list[dict[str, Any]]) -> str:
    counts = {name: sum(source[name] for source in told) for name in COUNTS}
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
