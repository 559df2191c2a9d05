"""WordPiece: words in pieces of a fixed vocabulary, by the longest match; taught in chapter 5.

A word is cut from the left: the longest entry of the vocabulary that begins the word is its
first piece, the longest entry that begins the rest is the next, and so on. Pieces inside a word
are spelt with ``##`` in front. A word that cannot be cut to its end is ``[UNK]`` as a whole.
(Wu et al. 2016, section 4.1; https://github.com/google-research/bert, tokenization.py.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from companion.errors import DataError, SettingsError
from companion.text.encoding import Encoding, Padding, Truncation, kept_lengths, pad_batch
from companion.text.fast import fast_tokenizer
from companion.text.files import (
    MAX_WORD_LENGTH,
    PAD,
    SPECIAL_TOKENS,
    check_vocabulary,
    read_folder,
    read_vocabulary,
    save_folder,
)
from companion.text.normalize import Normalizer
from companion.text.trainer import Score, count_words, train_wordpiece

# No space is written before these (the tidying of the `tokenizers` decoder).
_ATTACHED = (".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re")

Piece = tuple[int, int, int]  # id, start, end: a token and the stretch of text it stands for


def longest_match(word: str, vocab: Mapping[str, int], longest: int) -> list[Piece]:
    """Cut a normalised word into pieces; an empty list when that cannot be done.

    `longest` is the number of characters of the longest token: no longer match need be tried.
    """
    pieces = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(min(len(word), start + longest), start, -1):
            if (token := prefix + word[start:end]) in vocab:
                pieces.append((vocab[token], start, end))
                start = end
                break
        else:
            return []
    return pieces


class WordPieceTokenizer:
    """BERT's tokenizer: text in, ids and offsets out.

    Make one with `from_vocab`, `from_folder` or `train`, or from a list of tokens. The options
    are those of `companion.text.normalize.Normalizer`. Words met before are remembered, which
    makes it several times as fast as its like in pure Python; for bulk work there is `to_fast`.

    Attributes: `tokens`, the vocabulary in the order of ids; `vocab`, a dict from token to id;
    `normalizer`; `pad_id`, `unk_id`, `cls_id`, `sep_id`, `mask_id`.
    Raises DataError when `tokens` is no vocabulary (see `check_vocabulary`).
    """

    def __init__(
        self,
        tokens: Sequence[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
    ) -> None:
        check_vocabulary(tokens)
        self.tokens = list(tokens)
        self.vocab = {token: i for i, token in enumerate(self.tokens)}
        self.normalizer = Normalizer(lowercase, strip_accents, split_chinese)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self.vocab[token] for token in SPECIAL_TOKENS
        )
        self._longest = max(len(token.removeprefix("##")) for token in self.tokens)
        self._chunks = self.normalizer.chunks(SPECIAL_TOKENS)
        self._pieces = _Memory(self._cut_chunk)

    @classmethod
    def from_vocab(
        cls, path: str | Path, lowercase: bool = True, **options: Any
    ) -> WordPieceTokenizer:
        """Read a ``vocab.txt``; `options` are the constructor's, errors as in `read_vocabulary`."""
        return cls(read_vocabulary(path), lowercase=lowercase, **options)

    @classmethod
    def from_folder(cls, folder: str | Path) -> WordPieceTokenizer:
        """Read vocabulary and options from a Hugging Face folder; errors as in `read_folder`."""
        tokens, normalizer = read_folder(folder)
        return cls(tokens, **asdict(normalizer))

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        score: Score = "frequency",
        min_frequency: int = 2,
        limit_alphabet: int | None = None,
        **options: Any,
    ) -> WordPieceTokenizer:
        """Learn a vocabulary of at most `vocab_size` tokens from `texts`, in any languages.

        `options` are those of the constructor; the others are explained at
        `companion.text.trainer.train_wordpiece`, which also names the errors. For more than some
        tens of megabytes use `companion.text.fast.train_fast`.
        """
        if isinstance(texts, str):
            raise DataError("texts must be a list of strings, not one string; write [text].")
        return cls(
            train_wordpiece(
                count_words(texts, Normalizer(**options)),
                vocab_size,
                score=score,
                min_frequency=min_frequency,
                limit_alphabet=limit_alphabet,
            ),
            **options,
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes get the vocabulary and the options, not what was remembered so far.
        return _make, (self.tokens, asdict(self.normalizer))

    def encode(
        self,
        text: str,
        pair: str | None = None,
        max_length: int | None = None,
        *,
        truncation: Truncation = "longest_first",
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encode ``[CLS] text [SEP]`` or ``[CLS] text [SEP] pair [SEP]``.

        With `max_length` the result has at most so many tokens, special ones included;
        `truncation` says what is cut (see `companion.text.encoding.kept_lengths`). A special
        token spelt out in a text, such as ``[MASK]``, becomes that token.

        Raises DataError when a text is not a string, SettingsError when `max_length` leaves no
        room for the special tokens or `truncation` cannot do its work.
        """
        ids, offsets = self._cut(text)
        pair_ids, pair_offsets = self._cut(pair) if pair is not None else ([], [])
        if max_length is not None:
            special = (2 if pair is None else 3) if add_special_tokens else 0
            if max_length < special:
                raise SettingsError(
                    f"max_length = {max_length} leaves no room for the {special} special tokens; "
                    f"it must be at least {special}, better some hundreds."
                )
            first, second = kept_lengths(len(ids), len(pair_ids), max_length - special, truncation)
            del ids[first:], offsets[first:], pair_ids[second:], pair_offsets[second:]
        if add_special_tokens:
            ids = [self.cls_id, *ids, self.sep_id]
            offsets = [(0, 0), *offsets, (0, 0)]
            if pair is not None:
                pair_ids.append(self.sep_id)
                pair_offsets.append((0, 0))
        type_ids = [0] * len(ids) + [1] * len(pair_ids)
        ids += pair_ids
        tokens = self.tokens
        return Encoding(
            ids, [tokens[i] for i in ids], type_ids, offsets + pair_offsets, [1] * len(ids)
        )

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        max_length: int | None = None,
        *,
        padding: Padding | None = None,
        truncation: Truncation = "longest_first",
    ) -> list[Encoding]:
        """Encode many texts, or as many pairs of texts; see `encode`.

        `padding` None leaves each at its own length, ``"longest"`` pads to the longest of the
        batch, ``"max_length"`` to `max_length`.
        """
        if isinstance(texts, str):
            raise DataError("texts must be a list of strings, not one string; write [text].")
        seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
        if len(seconds) != len(texts):
            raise DataError(
                f"There are {len(texts)} texts but {len(seconds)} second texts; every text needs "
                "exactly one."
            )
        encodings = [
            self.encode(text, pair, max_length, truncation=truncation)
            for text, pair in zip(texts, seconds, strict=True)
        ]
        if padding is None:
            return encodings
        return pad_batch(
            encodings, padding, pad_id=self.pad_id, pad_token=PAD, max_length=max_length
        )

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Spell `ids` out: words with blanks between, none before ``. ? ! ,`` and endings as 's.

        Not an inverse of `encode`: capitals, accents, unknown words and the spaces of the
        original are lost. To quote the original, use the offsets. Raises DataError for an id
        outside the vocabulary.
        """
        text = ""
        for i in ids:
            if not 0 <= i < len(self.tokens):
                raise DataError(f"There is no token {i}; ids run from 0 to {len(self.tokens) - 1}.")
            token = self.tokens[i]
            if skip_special_tokens and token in SPECIAL_TOKENS:
                continue
            if not text or token.startswith(_ATTACHED):
                text += token
            else:
                text += token.removeprefix("##") if token.startswith("##") else f" {token}"
        return text

    def to_fast(self) -> Tokenizer:
        """The same tokenizer in the ``tokenizers`` library, in Rust: for bulk work."""
        return fast_tokenizer(self.tokens, self.normalizer)

    def save(self, folder: str | Path, max_length: int = 512) -> None:
        """Write the three files that ``tokenizers`` and ``transformers`` load into `folder`.

        `max_length` is what ``transformers`` will take for the model's limit in tokens.
        """
        pipeline = self.to_fast().to_str(pretty=False)
        save_folder(folder, self.tokens, self.normalizer, pipeline, max_length)

    def _cut(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and offsets of all tokens of `text`, none special, nothing truncated."""
        if not isinstance(text, str):
            raise DataError(
                f"A text must be a string, but {text!r} is a {type(text).__name__}; drop empty "
                "rows or convert the column with astype(str)."
            )
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        position = 0
        for chunk in self._chunks.findall(text):
            for i, start, end in self._pieces[chunk]:
                ids.append(i)
                offsets.append((position + start, position + end))
            position += len(chunk)
        return ids, offsets

    def _cut_chunk(self, chunk: str) -> list[Piece]:
        """The pieces of one match of the pattern of `Normalizer.chunks`."""
        bare = chunk.lstrip()  # strips nothing that cleaning would leave in a word
        position = len(chunk) - len(bare)
        if bare in SPECIAL_TOKENS:
            return [(self.vocab[bare], position, len(chunk))]
        pieces: list[Piece] = []
        for word in self.normalizer.words(bare):
            length = len(word.text)
            found: list[Piece] = []
            if length <= MAX_WORD_LENGTH:
                found = longest_match(word.text, self.vocab, self._longest)
            for i, start, end in found or [(self.unk_id, 0, length)]:
                first, last = word.span(start, end)
                pieces.append((i, position + first, position + last))
        return pieces


class _Memory(dict[str, list[Piece]]):
    """The pieces of chunks met before: in most texts nearly all words and characters have been."""

    def __init__(self, cut: Callable[[str], list[Piece]], limit: int = 100_000) -> None:
        super().__init__()
        self._cut = cut
        self._limit = limit

    def __missing__(self, chunk: str) -> list[Piece]:
        pieces = self._cut(chunk)
        if len(chunk) <= MAX_WORD_LENGTH:  # nothing that long is met twice
            if len(self) >= self._limit:
                self.clear()
            self[chunk] = pieces
        return pieces


def _make(tokens: list[str], options: dict[str, Any]) -> WordPieceTokenizer:
    return WordPieceTokenizer(tokens, **options)
