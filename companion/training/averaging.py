"""A moving average of the weights, which is evaluated and kept instead of them (chapter 13)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

SPAN = 0.1  # of the run, where the decay is to be chosen


def decay_of_span(updates: float) -> float:
    """The decay of an exponential average that looks back over about so many updates.

    With d = 1 - 2/(N + 1) the weights in the average are as old, in the mean, as in a plain
    average of the last N: (N - 1)/2 updates.
    """
    return 1 - 2 / (max(1.0, updates) + 1)


class AveragedWeights:
    """The exponential moving average of a model's trainable weights.

    After update number t = 1, 2, ... with weights w: a = d w' + (1 - d) w, where w' is the old
    average and d = min(decay, 1 - 1/t). So the average is the plain mean of all updates
    (Polyak & Juditsky 1992) until that looks back further than `decay` allows, and the weights
    before the first update have no part in it.

    Args:
        model: its weights are read at every `update`.
        decay: from 0 (the last weights alone) to below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.averages = {n: p.detach().clone() for n, p in self.weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update number `step` (the first is 1)."""
        share = max(1 - self.decay, 1 / step)
        torch._foreach_lerp_(list(self.averages.values()), list(self.weights.values()), share)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the averages into the model and keep its weights here; a second call undoes it."""
        for name, weight in self.weights.items():
            kept = weight.detach().clone()
            weight.copy_(self.averages[name])
            self.averages[name].copy_(kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the model has the averages as its weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def restore(self, averages: Mapping[str, torch.Tensor]) -> None:
        """Put back what a checkpoint stored of `averages`."""
        for name, average in self.averages.items():
            average.copy_(averages[name])
