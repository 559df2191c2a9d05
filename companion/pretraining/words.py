"""Which tokens are one word: the groups of whole-word masking (chapter 7).

In English WordPiece marks the inside of a word with ``##``. In Chinese each character is a token
of its own, and what a word is only a word segmenter says: jieba, as an option.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from companion.errors import SettingsError

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class WordPieces:
    """Words as WordPiece shows them: a token with ``##`` goes on with the word before it.

    Args:
        tokens: the vocabulary, in the order of ids.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.table = torch.tensor([token.startswith("##") for token in tokens])  # (V,)

    def continues(self, input_ids: Tensor) -> Tensor:
        """(B, T), int64 -> (B, T), bool: does the token belong to the word of the one before?"""
        return self.table[input_ids]


class ChineseWords(WordPieces):
    """The same, and neighbouring Chinese characters are joined to the words that jieba finds.

    About 10,000 tokens a second on one core: enough for a small model, slow for a large one.

    Args:
        tokens: the vocabulary, in the order of ids.

    Raises SettingsError when jieba is not installed.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        self.segmenter = _segmenter()
        self.signs = [t if len(t) == 1 and _CHINESE.match(t) else "" for t in tokens]

    def continues(self, input_ids: Tensor) -> Tensor:
        """(B, T), int64 -> (B, T), bool."""
        found = super().continues(input_ids)
        for row, ids in zip(found, input_ids.tolist(), strict=True):
            place = 0
            for chinese, run in groupby((self.signs[i] for i in ids), key=bool):
                signs = list(run)
                if chinese:
                    start = place
                    for word in self.segmenter.cut("".join(signs), HMM=True):
                        row[start + 1 : start + len(word)] = True
                        start += len(word)
                place += len(signs)
        return found


def _segmenter() -> Any:
    """jieba's segmenter with a dictionary of its own, silent."""
    try:
        import jieba
    except ImportError:
        raise SettingsError(
            "Whole words for Chinese need the segmenter jieba: pip install jieba, or leave "
            'whole_words at "pieces".'
        ) from None
    jieba.setLogLevel("WARNING")
    return jieba.Tokenizer()
