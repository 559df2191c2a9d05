"""How well a vocabulary fits texts: tokens, unknown words, words in one piece; chapter 5.

``python -m companion.text.coverage VOCAB… --texts FILE[:COLUMN]…`` prints the table that
``companion/assets/README.md`` shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from companion.errors import CompanionError, DataError
from companion.text.sources import HELP, read_texts
from companion.text.wordpiece import WordPieceTokenizer


@dataclass(frozen=True)
class Coverage:
    """Counts over a set of texts. A character is one that is not white space."""

    texts: int
    characters: int
    words: int
    tokens: int
    unknown: int

    @property
    def tokens_per_text(self) -> float:
        """Mean number of tokens of a text, special tokens not counted."""
        return self.tokens / self.texts

    @property
    def tokens_per_character(self) -> float:
        """The fewer, the longer a text that fits into a model."""
        return self.tokens / self.characters

    @property
    def tokens_per_word(self) -> float:
        """1 when every word, Chinese character and punctuation mark is one token."""
        return self.tokens / self.words

    @property
    def unknown_rate(self) -> float:
        """Share of words that became [UNK], 0 to 1."""
        return self.unknown / self.words


def measure_coverage(tokenizer: WordPieceTokenizer, texts: Iterable[str]) -> Coverage:
    """Encode `texts` and count. Raises DataError when they hold no character at all."""
    count = characters = words = tokens = unknown = 0
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        count += 1
        characters += sum(not char.isspace() for char in text)
        words += sum(not tokenizer.tokens[i].startswith("##") for i in ids)
        tokens += len(ids)
        unknown += ids.count(tokenizer.unk_id)
    if not words:
        raise DataError("There is no text to measure: the texts are empty or only white space.")
    return Coverage(count, characters, words, tokens, unknown)


def main(arguments: list[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.text.coverage",
        description="Compare lower-cased vocabularies on texts; prints a Markdown table.",
    )
    parser.add_argument("vocabularies", nargs="+", metavar="VOCAB", help="vocab.txt files")
    parser.add_argument("--texts", nargs="+", required=True, metavar="FILE[:COLUMN]", help=HELP)
    options = parser.parse_args(arguments)
    print("| texts | vocabulary | tokens a text | tokens a character | tokens a word | unknown |")
    print("| --- | --- | --- | --- | --- | --- |")
    try:
        for source in options.texts:
            texts = list(read_texts(source))
            for path in options.vocabularies:
                measured = measure_coverage(WordPieceTokenizer.from_vocab(path), texts)
                name, vocabulary = "/".join(Path(source).parts[-2:]), Path(path).stem
                print(
                    f"| {name} ({measured.texts:,}) | {vocabulary} "
                    f"| {measured.tokens_per_text:.1f} | {measured.tokens_per_character:.3f} "
                    f"| {measured.tokens_per_word:.3f} | {measured.unknown_rate:.4%} |"
                )
    except CompanionError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
