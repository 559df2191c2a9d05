"""Texts in which every word occurs once, so that each token of a row says where it comes from."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from companion.pretraining import PackedCorpus, prepare_corpus, writing
from companion.text import WordPieceTokenizer
from companion.text.files import SPECIAL_TOKENS

FIRST = len(SPECIAL_TOKENS)  # the id of w0
PAD, UNK, CLS, SEP, MASK = range(FIRST)


def words_tokenizer(words: int) -> WordPieceTokenizer:
    """A tokenizer of the words w0, w1, ..., each one token."""
    return WordPieceTokenizer([*SPECIAL_TOKENS, *(f"w{i}" for i in range(words))])


def number_words(sizes: Sequence[Sequence[int]]) -> list[list[list[int]]]:
    """Documents with paragraphs of so many words, as ids: consecutive numbers from the first on."""
    number = iter(range(FIRST, FIRST + sum(map(sum, sizes))))
    return [[[next(number) for _ in range(size)] for size in document] for document in sizes]


def write_documents(path: Path, documents: Sequence[Sequence[Sequence[int]]]) -> Path:
    """A text file: one paragraph a line, a blank line between documents."""
    texts = (
        "\n".join(" ".join(f"w{i - FIRST}" for i in paragraph) for paragraph in document)
        for document in documents
    )
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def pieces_of(row: Sequence[int], documents: Sequence[int]) -> Iterator[list[int]]:
    """The pieces of a row without [CLS] and [SEP]; checks that the row is built as it should be."""
    row, documents = np.asarray(row), np.asarray(documents)
    used = int((documents != 0).sum())
    assert (documents[used:] == 0).all() and (row[used:] == PAD).all()
    assert (row[:used] != PAD).all()
    for number in range(1, documents.max() + 1):
        (places,) = (documents == number).nonzero()
        assert (np.diff(places) == 1).all()
        piece = row[places].tolist()
        assert piece[0] == CLS and piece[-1] == SEP
        assert not {PAD, CLS, SEP, MASK} & set(piece[1:-1])
        assert len(piece) > 2
        yield piece[1:-1]


def all_pieces(split) -> list[list[int]]:
    """The pieces of all rows of a split."""
    rows = zip(*split.rows(range(len(split))), strict=True)
    return [piece for row, documents in rows for piece in pieces_of(row, documents)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def prepare_and_die(text: Path, out: Path, at: str | None, number: int) -> None:
    """Prepare a corpus; die without warning in the given flush or write, counted from 1."""
    calls = 0

    def killing(real):
        def called(*arguments):
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        return called

    if at == "flush":
        writing.flush = killing(writing.flush)
    if at == "write":
        writing.AppendedFile.append = killing(writing.AppendedFile.append)
    prepared(text, out)


def prepared(text: Path, out: Path, **more) -> PackedCorpus:
    """A corpus of `write_documents`, in short rows."""
    settings = {
        "tokenizer": words_tokenizer(2000),
        "row_length": 16,
        "dev_share": 0.2,
        "min_tokens": 1,
        "progress": False,
    }
    return prepare_corpus(text, out, **(settings | more))
