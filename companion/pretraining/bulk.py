"""Many texts to ids at once, with the `tokenizers` library (chapter 8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from companion.errors import SettingsError
from companion.text import WordPieceTokenizer
from companion.text.files import SPECIAL_TOKENS

BATCH_CHARACTERS = 1 << 18  # tokenised at once


def bulk_tokenizer(
    given: WordPieceTokenizer | Tokenizer | str | Path,
) -> tuple[Tokenizer, dict[str, int]]:
    """A copy in the `tokenizers` library that neither cuts nor pads, and its special tokens."""
    if isinstance(given, str | Path):
        given = WordPieceTokenizer.from_folder(given)
    if isinstance(given, WordPieceTokenizer):
        given = given.to_fast()
    bulk = Tokenizer.from_str(getattr(given, "backend_tokenizer", given).to_str())
    bulk.no_truncation()
    bulk.no_padding()
    bulk.encode_special_tokens = True  # a text that spells [MASK] holds brackets and a word
    ids = bulk.get_vocab(with_added_tokens=True)
    special = {token: ids[token] for token in SPECIAL_TOKENS if token in ids}
    if missing := [token for token in SPECIAL_TOKENS if token not in ids]:
        raise SettingsError(f"The tokenizer lacks {', '.join(missing)}, which BERT needs.")
    return bulk, special


def tokenised(
    tokenizer: Tokenizer, documents: Iterable[tuple[str, list[str]]], dtype: np.dtype
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The ids of each paragraph of each document, encoded many at a time; the same order."""
    waiting: list[tuple[str, list[str]]] = []
    characters = 0
    for split, paragraphs in documents:
        if paragraphs:
            waiting.append((split, paragraphs))
            characters += sum(map(len, paragraphs))
        if characters >= BATCH_CHARACTERS:
            yield from _encoded(tokenizer, waiting, dtype)
            waiting, characters = [], 0
    yield from _encoded(tokenizer, waiting, dtype)


def _encoded(
    tokenizer: Tokenizer, documents: list[tuple[str, list[str]]], dtype: np.dtype
) -> Iterator[tuple[str, list[np.ndarray]]]:
    texts = [text for _, paragraphs in documents for text in paragraphs]
    encodings = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    for split, paragraphs in documents:
        ids = [np.array(next(encodings).ids, dtype=dtype) for _ in paragraphs]
        yield split, [paragraph for paragraph in ids if len(paragraph)]
