"""The same tokenizer and trainer in the ``tokenizers`` library, for bulk work.

The library is written in Rust: it encodes a batch on all cores and trains on hundreds of
megabytes. What it computes is what `companion.text.wordpiece` and `companion.text.trainer`
compute readably; ``tests/text`` holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from companion.text.files import CLS, MAX_WORD_LENGTH, SEP, SPECIAL_TOKENS, UNK
from companion.text.normalize import Normalizer


def fast_tokenizer(tokens: Sequence[str], normalizer: Normalizer) -> Tokenizer:
    """A ``tokenizers.Tokenizer`` for the vocabulary `tokens` and the options of `normalizer`."""
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token=UNK, max_input_chars_per_word=MAX_WORD_LENGTH)
    )
    _set_steps(tokenizer, normalizer)
    tokenizer.add_special_tokens(sorted(SPECIAL_TOKENS, key=ids.__getitem__))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, ids[CLS]), (SEP, ids[SEP])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def train_fast(
    texts: Iterable[str],
    vocab_size: int,
    normalizer: Normalizer,
    *,
    fixed: Sequence[str] = SPECIAL_TOKENS,
    alphabet: Sequence[str] | None = None,
    min_frequency: int = 2,
) -> list[str]:
    """Train with the library; returns the vocabulary, `fixed` first and then by order of merging.

    `alphabet`, where given, lists the characters that get a token; all others are unknown.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    _set_steps(tokenizer, normalizer)
    all_of_unicode = 0x110000
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(fixed),
        initial_alphabet=list(alphabet or []),
        limit_alphabet=all_of_unicode if alphabet is None else len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def _set_steps(tokenizer: Tokenizer, normalizer: Normalizer) -> None:
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=normalizer.split_chinese,
        strip_accents=normalizer.strip_accents,
        lowercase=normalizer.lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
