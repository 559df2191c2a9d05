"""The reference that the tokenizer is compared with, and the strings it is compared on."""

import random
import unicodedata
from collections.abc import Iterable, Iterator

from tokenizers import (
    BertWordPieceTokenizer,
    PreTokenizedString,
    normalizers,
    pre_tokenizers,
)

from companion.text import Encoding, Normalizer, WordPieceTokenizer
from companion.text.files import SPECIAL_TOKENS

# Every combination that changes a step; the first is bert-base-uncased's and -chinese's.
OPTIONS = [
    {},
    {"lowercase": False},
    {"strip_accents": False},
    {"lowercase": False, "strip_accents": True},
    {"split_chinese": False},
]
LAST = 0x10FFFF
BLOCK = 0x200
BLOCKS = [
    *[(0x20, 0x7E)] * 4,  # ASCII
    (0x00, 0xFF),  # with control characters
    (0x80, 0x24F),  # Latin with accents
    (0x300, 0x36F),  # combining marks
    (0x370, 0x52F),  # Greek, Cyrillic
    (0x590, 0x1CFF),  # from Hebrew to Vedic
    (0x1E00, 0x1FFF),  # more Latin and Greek with accents
    (0x2000, 0x2BFF),  # spaces, format characters, punctuation, symbols
    (0x3000, 0x30FF),  # Chinese punctuation, kana
    *[(0x4E00, 0x9FFF)] * 4,  # Chinese
    (0x3400, 0x4DBF),  # rare Chinese
    (0xAC00, 0xD7A3),  # Hangul, which decomposes
    (0xD800, 0xDFFF),  # lone surrogates
    (0xE000, 0xFAFF),  # private characters, compatibility ideographs
    (0xFB00, 0xFFFF),  # presentation forms, half and full width
    (0x10000, 0x1D7FF),  # old scripts, music, mathematics
    (0x1E000, 0x1EFFF),  # newer scripts
    (0x1F000, 0x1FAFF),  # emoji, skin tones among them
    (0x1F1E6, 0x1F1FF),  # flags
    (0x20000, 0x323AF),  # rare Chinese of the supplementary planes, and beyond
    (0xE0000, 0xE01EF),  # tags, variation selectors
    (0, LAST),
]
EMOJI_SEQUENCES = ["👨‍👩‍👧", "👍🏽", "❤️", "🏳️‍🌈", "1️⃣", "🇨🇳", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
MARKS = [chr(code) for code in range(LAST + 1) if unicodedata.combining(chr(code))]


def random_strings(count: int, seed: int) -> Iterator[str]:
    """Strings of up to about 40 characters, from runs of one kind each."""
    rng = random.Random(seed)
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 7)):
            kind = rng.random()
            if kind < 0.05:
                parts.append(rng.choice([*SPECIAL_TOKENS, "[mask]", "[SEP", "##a"]))
            elif kind < 0.10:
                parts.append(rng.choice(EMOJI_SEQUENCES))
            elif kind < 0.20:  # a base letter under marks whose order is not canonical
                parts.append(rng.choice("aÅöé≠=가各쀍") + "".join(rng.choices(MARKS, k=4)))
            else:
                first, last = rng.choice(BLOCKS)
                parts += [chr(rng.randint(first, last)) for _ in range(rng.randint(1, 7))]
            parts.append(rng.choice(["", "", "", " ", "\n", "\u3000", "."]))
        yield "".join(parts)


def reference_tokenizer(tokens: list[str], options: dict[str, bool]) -> BertWordPieceTokenizer:
    """The fast tokenizer as the `tokenizers` library itself puts it together."""
    return BertWordPieceTokenizer(
        {token: i for i, token in enumerate(tokens)},
        lowercase=options.get("lowercase", True),
        strip_accents=options.get("strip_accents"),
        handle_chinese_chars=options.get("split_chinese", True),
    )


def reference_words(normalizer: Normalizer, text: str) -> list[tuple[str, tuple[int, int]]]:
    """The library's words of `text` and the stretch of `text` that each stands for."""
    string = PreTokenizedString(text)
    steps = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=normalizer.split_chinese,
        strip_accents=normalizer.strip_accents,
        lowercase=normalizer.lowercase,
    )
    string.normalize(steps.normalize)
    pre_tokenizers.BertPreTokenizer().pre_tokenize(string)
    splits = string.get_splits(offset_referential="original", offset_type="char")
    return [(word, offsets) for word, offsets, _ in splits]


def unlike_blocks(normalizer: Normalizer, blocks: Iterable[int]) -> list[str]:
    """Which blocks of `BLOCK` code points are cut into other words than by the library."""
    unlike = []
    for block in blocks:
        # Between two letters a border, a removed character and a letter all look different.
        text = "\n".join(f"a{readable(chr(code))}b" for code in range(block, block + BLOCK))
        ours = [(word.text, word.span(0, len(word.text))) for word in normalizer.words(text)]
        if ours != reference_words(normalizer, text):
            unlike.append(f"U+{block:04X}")
    return unlike


def readable(text: str) -> str:
    """`text` as the library takes it: lone surrogates are no Unicode text, so it refuses them.

    Ours removes them; U+FFFD, which is one character too, is removed by both.
    """
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def spelling_vocabulary(texts: list[str], options: dict[str, bool]) -> list[str]:
    """A vocabulary of single characters: every character of a word gets offsets of its own.

    One in thirty is left out, so that some words are unknown.
    """
    normalizer = Normalizer(**options)
    characters = sorted(set("".join(normalizer.normalize(text).text for text in texts)) - {" "})
    kept = [char for i, char in enumerate(characters) if i % 30]
    return list(dict.fromkeys([*SPECIAL_TOKENS, *kept, *(f"##{char}" for char in kept)]))


def differences(tokenizer: WordPieceTokenizer, reference, texts: list[str]) -> list[str]:
    """The texts that the two encode differently, in ids, tokens, types or offsets."""
    found = []
    for text, expected in zip(
        texts, reference.encode_batch([readable(text) for text in texts]), strict=True
    ):
        if not same(tokenizer.encode(text), expected):
            found.append(text)
    return found


def same(ours: Encoding, expected) -> bool:
    """Whether two encodings are equal in every list."""
    return (
        ours.ids == expected.ids
        and ours.offsets == expected.offsets
        and ours.tokens == expected.tokens
        and ours.type_ids == expected.type_ids
        and ours.attention_mask == expected.attention_mask
    )
