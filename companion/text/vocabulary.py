"""One vocabulary for Chinese and English, trained from raw text; taught in chapter 5.

``python -m companion.text.vocabulary --help`` is the command that made the vocabulary shipped
in ``companion/assets``. Chinese characters are encoded one by one, so which of them get a token
is decided by counting; the rest of the room goes to English subwords, which the trainer of the
``tokenizers`` library finds (`companion.text.trainer` is the readable version of it).
"""

from __future__ import annotations

import argparse
import string
import sys
from collections import Counter
from collections.abc import Iterable

from tokenizers import normalizers

from companion.errors import CompanionError, DataError
from companion.text import unicode_tables
from companion.text.fast import train_fast
from companion.text.files import SPECIAL_TOKENS
from companion.text.normalize import Normalizer
from companion.text.sources import HELP, read_texts, sample_evenly
from companion.text.wordpiece import WordPieceTokenizer

CHINESE = unicode_tables.characters(unicode_tables.CHINESE)
CHINESE_PUNCTUATION = "，。！？、；：“”‘’（）《》〈〉【】「」『』〔〕…—～·￥"
FULL_WIDTH = "".join(chr(code) for code in range(0xFF01, 0xFF5F)).lower()
EMOJI = (
    "😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰😗🙂🤗🤩🤔😐😑😶🙄😏😣😮😯😪😫😴😌😛😜😝🤤😒😓😔😕🙃😲🙁😖😞😟"
    "😤😢😭😦😧😨😩😬😰😱😳🤪😵😡😠😷🤒🤢🤮🥳🥺🤡💩👍👎👌👏🙏💪👋🤝✌👀💔💕💖💯🔥🎉🎁🌹⭐✨✅❌❤☀⚡"
)
SKIN_TONES = "".join(chr(code) for code in range(0x1F3FB, 0x1F400))


def gb2312_level_1() -> list[str]:
    """The 3,755 most used simplified characters, by the Chinese standard of 1980."""
    rows, cells = range(0xB0, 0xD8), range(0xA1, 0xFF)
    codes = (bytes([row, cell]) for row in rows for cell in cells)
    return [code.decode("gb2312") for code in codes if code < b"\xd7\xfa"]


def choose_characters(counts: Counter[str], chinese: int, min_count: int) -> list[str]:
    """The characters that get a token of their own, in Unicode order.

    Always: printable ASCII, Chinese punctuation, full-width forms, common emoji and all of
    GB2312 level 1. By frequency: further Chinese characters up to `chinese` in all, and any
    other character that occurs `min_count` times.
    """
    chosen = set(CHINESE_PUNCTUATION + FULL_WIDTH + EMOJI + SKIN_TONES)
    chosen.update(string.ascii_lowercase + string.digits + string.punctuation)
    ranked = sorted(counts, key=lambda char: (-counts[char], char))  # ties: Unicode order
    frequent = gb2312_level_1() + [char for char in ranked if char in CHINESE]
    chosen.update(list(dict.fromkeys(frequent))[:chinese])
    chosen.update(char for char in ranked if counts[char] >= min_count and char not in CHINESE)
    return sorted(char for char in chosen if not char.isspace())


def train_bilingual(
    texts: Iterable[str], vocab_size: int, *, chinese: int = 6500, min_count: int = 20
) -> list[str]:
    """Train a lower-cased WordPiece vocabulary of exactly `vocab_size` tokens.

    `texts` is read three times, so it must be a list or another re-iterable. The result is the
    same on every run. Raises DataError when the texts are too few for so many tokens.
    """
    normalizer = Normalizer()
    lower = normalizers.BertNormalizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(lower.normalize_str(text))
    characters = choose_characters(counts, chinese, min_count)

    # A run without merges tells which characters occur inside words.
    single = train_fast(texts, 0, normalizer, fixed=[], alphabet=characters)
    inside = {token for token in single if token.startswith("##")}
    inside.update(f"##{char}" for char in string.ascii_lowercase + string.digits + EMOJI)
    inside.update(f"##{char}" for char in SKIN_TONES)
    # Named as special, they keep their places: ties between merges then always fall the same way.
    fixed = [*SPECIAL_TOKENS, *characters, *sorted(inside)]
    tokens = train_fast(texts, vocab_size, normalizer, fixed=fixed, alphabet=characters)
    if len(tokens) != vocab_size:
        raise DataError(
            f"These texts give {len(tokens):,} tokens where {vocab_size:,} were asked for, "
            f"{len(fixed):,} of them single characters; give more text or another number."
        )
    return tokens


def main(arguments: list[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.text.vocabulary",
        description="Train a lower-cased WordPiece vocabulary for Chinese and English.",
    )
    parser.add_argument("sources", nargs="+", metavar="FILE[:COLUMN]", help=HELP)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where to write it")
    parser.add_argument(
        "--exclude",
        nargs="*",
        default=[],
        metavar="FILE[:COLUMN]",
        help="development and test texts, to be left out",
    )
    parser.add_argument("--vocab-size", type=int, default=16_000, help="default: 16000")
    parser.add_argument("--chinese", type=int, default=6_500, help="Chinese characters; 6500")
    parser.add_argument("--min-count", type=int, default=20, help="for other characters; 20")
    parser.add_argument("--megabytes", type=float, default=40, help="at most, of each file; 40")
    options = parser.parse_args(arguments)
    try:
        excluded = {text.strip() for source in options.exclude for text in read_texts(source)}
        texts = [
            text
            for source in options.sources
            for text in sample_evenly(source, options.megabytes)
            if text.strip() not in excluded
        ]
        tokens = train_bilingual(
            texts, options.vocab_size, chinese=options.chinese, min_count=options.min_count
        )
        WordPieceTokenizer(tokens).save(options.out)
    except CompanionError as error:
        parser.exit(2, f"{error}\n")
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(tokens):,} tokens from {len(texts):,} texts ({size:.1f} MB) in {options.out}")


if __name__ == "__main__":
    main(sys.argv[1:])
