"""Padded batches of texts, in an order that only the seed and the epoch decide.

Padding costs as much arithmetic as real tokens. When texts of similar length share a batch,
little padding is left; but such batches are no fair samples any more, and a model that starts
from random weights learns worse from them. So batches are random by default, and each is
sorted by length inside: the engine cuts it into pieces of similar length, whose gradients add
up to that of the random batch. Chapters 10 and 11 measure both.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

Batch = dict[str, torch.Tensor]


class LengthBatches:
    """A data set of token ids, cut into padded batches whose rows are sorted by length.

    The plan of an epoch is a pure function of `seed` and `epoch`, so a run that was
    stopped can go on at any batch without replaying the ones before it.

    Args:
        input_ids: one sequence of token ids per text, special tokens included.
        labels: one class index per text, or None for prediction.
        batch_size: texts in a batch; the last batch of an epoch may be smaller.
        pad_token_id: the id that fills short rows up.
        token_type_ids: segment ids (0 or 1), one per token, for texts that are pairs.
        shuffle: draw a new order each epoch; False keeps lengths sorted, longest first,
            so that a batch too large for the memory fails at once and not an hour later.
        pool_batches: how many batches' worth of texts are sorted together before they are
            cut into batches. One gives random batches; more means less padding, less mixing.
        seed: decides the order.
    """

    def __init__(
        self,
        input_ids: Sequence[Sequence[int]] | Sequence[np.ndarray],
        labels: Sequence[int] | None = None,
        *,
        batch_size: int,
        pad_token_id: int,
        token_type_ids: Sequence[Sequence[int]] | None = None,
        shuffle: bool = True,
        pool_batches: int = 1,
        seed: int = 42,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
        if labels is not None and len(labels) != len(input_ids):
            raise ValueError(f"{len(input_ids)} texts but {len(labels)} labels.")
        self.input_ids = input_ids
        self.token_type_ids = token_type_ids
        self.labels = labels
        self.batch_size = batch_size
        self.pad_token_id = pad_token_id
        self.shuffle = shuffle
        self.pool_batches = pool_batches
        self.seed = seed
        self.lengths = np.fromiter(map(len, input_ids), dtype=np.int64, count=len(input_ids))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.input_ids) // self.batch_size)

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Row numbers of each batch of `epoch`, in the order in which they are to be read."""
        size = self.batch_size
        if not self.shuffle:
            order = np.argsort(-self.lengths, kind="stable")
            return [order[i : i + size] for i in range(0, len(order), size)]
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.lengths))
        batches = []
        for start in range(0, len(order), size * self.pool_batches):
            pool = order[start : start + size * self.pool_batches]
            # The permutation comes first, so texts of equal length meet new neighbours each epoch.
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def collate(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """Pad the given rows to the longest of them (see `width`).

        Returns:
            `input_ids` and `attention_mask`, each int64 of shape (B, T); `token_type_ids` of
            that shape when there are any, and `labels`, int64 of shape (B,), likewise.
        """
        width = self.width(rows)
        input_ids = np.full((len(rows), width), self.pad_token_id, dtype=np.int64)  # (B, T)
        attention_mask = np.zeros((len(rows), width), dtype=np.int64)  # (B, T)
        token_type_ids = np.zeros((len(rows), width), dtype=np.int64)  # (B, T)
        for i, row in enumerate(rows):
            length = self.lengths[row]
            input_ids[i, :length] = self.input_ids[row]
            attention_mask[i, :length] = 1
            if self.token_type_ids is not None:
                token_type_ids[i, :length] = self.token_type_ids[row]
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(attention_mask),
        }
        if self.token_type_ids is not None:
            batch["token_type_ids"] = torch.from_numpy(token_type_ids)
        if self.labels is not None:
            batch["labels"] = torch.tensor([self.labels[row] for row in rows])
        return batch

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The padded batches of one epoch."""
        for rows in self.plan(epoch):
            yield self.collate(rows)

    def width(self, rows: Sequence[int] | np.ndarray) -> int:
        """Positions that the rows are padded to: their longest, in steps of 8 beyond 64.

        Fewer distinct shapes mean fewer kernels to prepare and less memory to hold them, and
        GPUs multiply multiples of 8 faster. No row becomes longer than the data's longest.
        """
        longest = int(self.lengths[rows].max())
        return longest if longest <= 64 else min(-(-longest // 8) * 8, int(self.lengths.max()))

    def padding_share(self, epoch: int = 0, pieces: int = 1) -> float:
        """Share of all positions of an epoch that is padding, between 0 and 1.

        Args:
            epoch: which epoch's batches.
            pieces: cut each batch into so many pieces, each padded by itself.
        """
        cut = (part for rows in self.plan(epoch) for part in np.array_split(rows, pieces))
        positions = sum(len(part) * self.width(part) for part in cut if len(part))
        return 1 - int(self.lengths.sum()) / positions
