"""Masked batches of packed rows, for the training loop and for the evaluation (chapter 8).

A row holds pieces of documents, each from [CLS] to [SEP]. The batch says which position belongs
to which document, so that no token sees, and no label asks about, another one's text.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from companion.errors import SettingsError
from companion.pretraining.draws import uniform_draws
from companion.pretraining.masking import (
    MASK_RATE,
    choose_positions,
    choose_words,
    replace_chosen,
)
from companion.pretraining.words import ChineseWords, WordPieces
from companion.text import WordPieceTokenizer

Batch = dict[str, Tensor]
WholeWords = Literal["no", "pieces", "jieba"]


class Rows(Protocol):
    """Packed rows: `PackedCorpus.split("train")` is one."""

    def __len__(self) -> int: ...
    def rows(self, row_numbers: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are hidden.

    Attributes: `rate`, the share that is asked for; `whole_words`: "no" chooses single tokens,
    "pieces" all tokens of a word that WordPiece cut (`##`), "jieba" also all characters of a
    Chinese word (needs jieba). Raises SettingsError for other values.
    """

    rate: float = MASK_RATE
    whole_words: WholeWords = "no"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise SettingsError(f"mask rate is {self.rate}; it is a share, between 0 and 1.")
        if self.whole_words not in ("no", "pieces", "jieba"):
            raise SettingsError(f'whole_words is "{self.whole_words}"; use no, pieces or jieba.')

    def identity(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


class Masker:
    """Rows of ids to a masked batch; the mask is a pure function of (seed, epoch, row)."""

    def __init__(self, tokenizer: WordPieceTokenizer, masking: Masking, seed: int) -> None:
        self.masking, self.seed = masking, seed
        self.mask_id = tokenizer.mask_id
        special = [getattr(tokenizer, f"{n}_id") for n in ("pad", "unk", "cls", "sep", "mask")]
        ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
        ordinary[special] = False
        self.ordinary = ordinary  # (V,)
        self.ordinary_ids = ordinary.nonzero().squeeze(1)  # (K,)
        kinds = {"no": None, "pieces": WordPieces, "jieba": ChineseWords}
        kind = kinds[masking.whole_words]
        self.words = None if kind is None else kind(tokenizer.tokens)

    def batch(
        self, input_ids: Tensor, documents: Tensor, epoch: int, rows: Sequence[int] | np.ndarray
    ) -> Batch:
        """(B, T) ids and document numbers -> what a model for masked words takes.

        Returns `input_ids`, `attention_mask` (document numbers, 0 is padding), `position_ids`
        (counted from 0 in each document) and `labels`, each (B, T), int64.
        """
        draws = uniform_draws(self.seed, epoch, rows, input_ids.size(1), count=3)  # (3, B, T)
        candidates = self.ordinary[input_ids] & (documents != 0)
        if self.words is None:
            chosen = choose_positions(candidates, draws[0], self.masking.rate)
        else:
            continues = self.words.continues(input_ids)
            chosen = choose_words(candidates, continues, draws[0], self.masking.rate)
        seen, labels = replace_chosen(
            input_ids, chosen, draws[1:], mask_id=self.mask_id, ordinary_ids=self.ordinary_ids
        )
        return {
            "input_ids": seen,
            "attention_mask": documents,
            "position_ids": positions(documents),
            "labels": labels,
        }


def positions(documents: Tensor) -> Tensor:
    """(B, T) document numbers -> (B, T), int64: 0, 1, 2, ... from the start of each document."""
    places = torch.arange(documents.size(1)).expand_as(documents)
    starts = torch.ones_like(documents, dtype=torch.bool)
    starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return places - torch.where(starts, places, 0).cummax(dim=1).values


class MaskedBatches:
    """A batch source for `companion.training.train`: another order and other masks each epoch.

    The order is drawn from (seed, epoch); rows that do not fill the last batch of an epoch are
    left out of that epoch. A row number of `plan` is row + epoch * rows, so that `collate` knows
    the epoch.

    Args:
        split: the packed rows.
        tokenizer: the one that made them.
        batch_size: rows in a batch.
        masking: how tokens are hidden.
        seed: decides order and masks.
    """

    def __init__(
        self,
        split: Rows,
        tokenizer: WordPieceTokenizer,
        *,
        batch_size: int,
        masking: Masking | None = None,
        seed: int = 42,
    ) -> None:
        if batch_size < 1:
            raise SettingsError(f"batch_size is {batch_size}; it must be at least 1.")
        if not len(split):
            raise SettingsError("The corpus has no row to train on; give more text.")
        self.split, self.seed = split, seed
        self.batch_size = min(batch_size, len(split))
        self.masker = Masker(tokenizer, masking or Masking(), seed)
        self.lengths = np.zeros(len(split), dtype=np.int32)  # tokens; 0 where not read yet
        self.read = 0  # tokens that `collate` has returned in this process

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.split) // self.batch_size

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch, each row plus epoch * rows."""
        rows = len(self.split)
        order = np.random.default_rng((self.seed, epoch)).permutation(rows) + epoch * rows
        return list(order[: len(self) * self.batch_size].reshape(len(self), self.batch_size))

    def collate(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """The masked batch of rows that `plan` named, all of one epoch; see `Masker.batch`."""
        epochs, numbers = np.divmod(np.asarray(rows), len(self.split))
        input_ids, documents = self.split.rows(numbers)
        self.lengths[numbers] = (documents != 0).sum(1).numpy()
        self.read += int(self.lengths[numbers].sum())
        return self.masker.batch(input_ids, documents, int(epochs[0]), numbers)

    def tokens(self, rows: Sequence[int] | np.ndarray) -> int:
        """Tokens in rows that `plan` named, padding not counted."""
        numbers = np.asarray(rows) % len(self.split)
        unread = numbers[self.lengths[numbers] == 0]
        if len(unread):
            self.lengths[unread] = (self.split.rows(unread)[1] != 0).sum(1).numpy()
        return int(self.lengths[numbers].sum())
