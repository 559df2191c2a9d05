"""Which examples each update reads, and how they are cut into pieces (chapter 10)."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

Rows = Sequence[int] | np.ndarray


class BatchSource(Protocol):
    """What the engine reads: `companion.data.batches.LengthBatches` is one."""

    def __len__(self) -> int: ...
    def plan(self, epoch: int) -> Sequence[Rows]: ...
    def collate(self, rows: Rows) -> dict[str, torch.Tensor]: ...


class Feed:
    """The examples of every update of a run.

    Args:
        batches: an epoch is `len(batches)` updates.
        pieces: how many each process cuts its part of a batch into.
    """

    def __init__(self, batches: BatchSource, pieces: int) -> None:
        self.batches, self.per_process = batches, pieces
        self._plan: tuple[int, Sequence[Rows]] | None = None

    def rows_of(self, step: int) -> Rows:
        """The examples of an update: a pure function of the step."""
        epoch, position = divmod(step, len(self.batches))
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self.batches.plan(epoch))
        return self._plan[1][position]

    def pieces(
        self, rows: Rows, rank: int, processes: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[int]]:
        """This process's pieces of a batch, and the number of labels in each."""
        cuts = self.per_process * processes
        pieces, counts = [], []
        # Neighbours stay together: rows sorted by length make pieces with little padding.
        for part in np.array_split(np.asarray(rows), cuts)[rank::processes]:
            # Every process makes the same number of passes; an empty piece weighs nothing.
            batch = self.batches.collate(part if len(part) else rows[:1])
            labels = batch["labels"]
            pieces.append(batch)
            counts.append(int((labels != -100).sum()) if len(part) else 0)
        return pieces, counts
