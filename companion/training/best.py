"""Keeping the best weights of a run, and stopping when nothing better comes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from companion.errors import SettingsError


class BestWeights:
    """The weights with the best score so far, on the CPU.

    Args:
        metric: the number that decides; a name that ends in "loss" is minimised.
        patience: evaluations without a gain after which `stopped` is true; None for never.
    """

    def __init__(self, metric: str, patience: int | None = None) -> None:
        self.metric = metric
        self.patience = patience
        self.score: float | None = None
        self.evals_without_gain = 0
        self.weights: dict[str, torch.Tensor] = {}

    @property
    def stopped(self) -> bool:
        return self.patience is not None and self.evals_without_gain >= self.patience

    def offer(self, metrics: Mapping[str, float], model: nn.Module) -> None:
        """Keep the model's weights if they are the best; a tie keeps the earlier ones.

        Raises:
            SettingsError: `metrics` has no number of the deciding name.
        """
        if self.metric not in metrics:
            raise SettingsError(
                f'best_metric is "{self.metric}", but the evaluation gives {", ".join(metrics)}.'
            )
        value = float(metrics[self.metric])
        score = -value if self.metric.endswith("loss") else value
        if self.score is not None and score <= self.score:
            self.evals_without_gain += 1
            return
        self.score, self.evals_without_gain = score, 0
        self.weights = {k: v.detach().to("cpu", copy=True) for k, v in model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint stores beside the weights."""
        return {"score": self.score, "evals_without_gain": self.evals_without_gain}

    def restore(self, state: Mapping[str, Any], weights: dict[str, torch.Tensor]) -> None:
        self.score, self.evals_without_gain = state["score"], state["evals_without_gain"]
        self.weights = weights
