"""Losses other than the plain cross-entropy: smoothed, weighted, and R-Drop (chapter 13)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax
from transformers.modeling_outputs import SequenceClassifierOutput


class WithLoss(nn.Module):
    """A classifier whose loss is computed here; what it learns stays the model's own.

    The engine trains it in the model's place: its output has `.loss` and `.logits`, and its
    parameters and state dict have the names that the model gives them, so that a checkpoint
    does not show that it was there.

    Args:
        model: any classifier whose output has `.logits` of shape (B, C).
        label_smoothing: the share e of the target that is spread over all classes: it is 1 - e
            on the true class, plus e/C on every class (Szegedy et al. 2016, section 7).
        class_weights: a factor w_c on the loss of each class c, as in PyTorch's `weight`.
        r_drop: the weight a of the distance between two passes with different dropout, p and
            q (Liang et al. 2021, equations 2 to 4). With n texts the loss is

                1/n sum_i [ 1/2 (CE(p_i, y_i) + CE(q_i, y_i)) + a/2 (KL(p_i||q_i) + KL(q_i||p_i)) ]

            The paper adds the two CE where this is their mean, as its published code has it:
            then the rate keeps its meaning.

    Every loss is divided by the number n of texts, and not by the sum of their weights as
    PyTorch does: only so do pieces of a batch add up to the batch. With "balanced" weights
    both are the same on average.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        r_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.label_smoothing, self.r_drop = label_smoothing, r_drop
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, labels: Tensor, **inputs: Tensor) -> SequenceClassifierOutput:
        """`labels` (B,), the rest as the model takes it -> loss (), logits (B, C)."""
        twice = bool(self.r_drop) and self.training
        if twice:
            # Dropout draws for each row by itself: one pass over both copies is two passes.
            inputs = {name: torch.cat([tensor, tensor]) for name, tensor in inputs.items()}
        logits = self.model(**inputs).logits.float()  # (B, C), or (2B, C)
        loss = self._cross_entropy(logits, torch.cat([labels, labels]) if twice else labels)
        if twice:
            first, second = logits.chunk(2)  # (B, C) each
            loss = loss + self.r_drop * symmetric_kl(first, second).mean()
            logits = first
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        total = cross_entropy(
            logits,
            labels,
            weight=self.class_weights,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return total / len(labels)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        return self.model.named_parameters(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        return self.model.load_state_dict(state_dict, *args, **kwargs)


def symmetric_kl(first: Tensor, second: Tensor) -> Tensor:
    """1/2 (KL(p||q) + KL(q||p)) of softmax(first) and softmax(second): (B, C) each -> (B,).

    The two sums differ in sign and order only: together 1/2 sum_c (p_c - q_c) (log p_c - log q_c).
    """
    log_p, log_q = log_softmax(first, -1), log_softmax(second, -1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1) / 2


def balanced_weights(targets: Sequence[int], classes: int) -> list[float]:
    """n / (C n_c) for each class c of n_c among n texts: then all classes weigh the same.

    As scikit-learn's `class_weight="balanced"` (King & Zeng 2001); the mean over the texts is 1.
    C counts the classes that occur, and a class without a text gets 0.
    """
    counts = np.bincount(np.asarray(targets), minlength=classes)
    present = int((counts > 0).sum())
    return [len(targets) / (present * int(n)) if n else 0.0 for n in counts]
