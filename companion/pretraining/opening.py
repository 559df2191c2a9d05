"""The corpus of a run: a prepared one, or raw text that is prepared once and then found again."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from accelerate import PartialState

from companion.data.lookup import ASSETS
from companion.errors import SettingsError
from companion.pretraining.corpus import MANIFEST, PackedCorpus
from companion.pretraining.preparing import prepare_corpus
from companion.pretraining.reading import find_sources
from companion.text import WordPieceTokenizer

Sources = str | Path | Iterable[str | Path]


def open_corpus(
    corpus: PackedCorpus | Sources,
    folder: Path,
    tokenizer: str | Path | None = None,
    row_length: int | None = None,
    progress: bool = True,
) -> PackedCorpus:
    """The corpus as it is given, from its folder, or made from raw text.

    Args:
        corpus: a corpus, the folder of one, or sources as `find_sources` takes them.
        folder: where one that is made goes; if it is there from an earlier start, it is used
            again, provided that it was made from the same files in the same way.
        tokenizer: a folder with a tokenizer; by default the shipped one.
        row_length: positions in a row; by default 128.

    With several processes the first one makes it, and the others wait.

    Raises SettingsError when a prepared corpus has another tokenizer or row length than asked
    for; otherwise as `prepare_corpus` and `PackedCorpus.load`.
    """
    state = PartialState()
    with state.main_process_first():
        if isinstance(corpus, PackedCorpus):
            opened = corpus
        elif isinstance(corpus, str | Path) and (Path(corpus) / MANIFEST).is_file():
            opened = PackedCorpus.load(corpus, verify=state.is_main_process)
        else:
            return _prepared(corpus, folder, tokenizer, row_length, progress)
    if row_length not in (None, opened.row_length):
        raise SettingsError(
            f"{opened.folder} has rows of {opened.row_length} positions, not {row_length}. Leave "
            "row_length out, or prepare the texts anew."
        )
    if tokenizer is not None and (wanted := WordPieceTokenizer.from_folder(tokenizer)):
        _refuse_other_tokenizer(opened, wanted)
    return opened


def _prepared(
    given: Sources,
    folder: Path,
    tokenizer: str | Path | None,
    row_length: int | None,
    progress: bool,
) -> PackedCorpus:
    sources = [given] if isinstance(given, str | Path) else list(given)
    wanted = WordPieceTokenizer.from_folder(tokenizer or ASSETS)
    state = PartialState()
    if not folder.is_dir():
        return prepare_corpus(
            sources, folder, tokenizer=wanted, row_length=row_length or 128, progress=progress
        )
    found = PackedCorpus.load(folder, verify=state.is_main_process)
    if state.is_main_process:
        facts = {source["file"]: source["sha256"] for source in found.manifest["sources"]}
        now = {source.path.name: _digest(source.path) for source in find_sources(sources)}
        if facts != now or found.row_length != (row_length or found.row_length):
            raise SettingsError(
                f"{folder} was made from {', '.join(facts)} in rows of {found.row_length}, which "
                "are not the texts or the rows that are asked for now (or a text has changed). "
                "Delete it, or give another folder."
            )
        _refuse_other_tokenizer(found, wanted)
    return found


def _refuse_other_tokenizer(corpus: PackedCorpus, wanted: WordPieceTokenizer) -> None:
    own = corpus.tokenizer
    if own.tokens != wanted.tokens or own.normalizer != wanted.normalizer:
        raise SettingsError(
            f"{corpus.folder} was made with another tokenizer ({len(own):,} tokens; the one given "
            f"has {len(wanted):,}). Leave the tokenizer out, or prepare the texts anew."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
