"""Accuracy, macro-F1, the confusion matrix, and how far chance could have moved them.

Taught in chapter 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix

Interval = tuple[float, float]


@dataclass(frozen=True)
class Evaluation:
    """How well predictions match the truth on one set of texts.

    Attributes:
        labels: class names, in the order of the confusion matrix.
        confusion: int64 of shape (C, C); row = true class, column = predicted class.
        accuracy, macro_f1: between 0 and 1.
        accuracy_interval, macro_f1_interval: bootstrap intervals.
        confidence: the intervals' level, 0.95 by default.
        loss: mean cross-entropy in nats, when logits were at hand.
    """

    labels: tuple[str, ...]
    confusion: np.ndarray
    accuracy: float
    macro_f1: float
    accuracy_interval: Interval
    macro_f1_interval: Interval
    confidence: float = 0.95
    loss: float | None = None

    @property
    def count(self) -> int:
        """Texts scored."""
        return int(self.confusion.sum())

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON takes them."""
        return {
            "count": self.count,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "macro_f1_interval": list(self.macro_f1_interval),
            "confidence": self.confidence,
            "loss": self.loss,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Evaluation":
        """The inverse of `to_dict`."""
        return cls(
            labels=tuple(values["labels"]),
            confusion=np.asarray(values["confusion"]),
            accuracy=values["accuracy"],
            macro_f1=values["macro_f1"],
            accuracy_interval=tuple(values["accuracy_interval"]),
            macro_f1_interval=tuple(values["macro_f1_interval"]),
            confidence=values["confidence"],
            loss=values["loss"],
        )

    def __str__(self) -> str:
        return (
            f"accuracy {_percent(self.accuracy, self.accuracy_interval)}, "
            f"macro-F1 {_percent(self.macro_f1, self.macro_f1_interval)}, "
            f"{self.count:,} texts, {self.confidence:.0%} intervals"
        )


def _percent(value: float, interval: Interval) -> str:
    return f"{value:.2%} [{interval[0]:.2%}, {interval[1]:.2%}]"


def evaluate_predictions(
    true: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    labels: Sequence[str],
    *,
    loss: float | None = None,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Score predicted class indices against true ones, both of shape (n,).

    The intervals come from the percentile bootstrap (Efron 1979): draw n texts with
    replacement `samples` times and score each draw. Both scores depend on the texts only
    through the confusion matrix, so drawing texts is drawing the matrix's cells from a
    multinomial distribution, which takes the same time for a hundred texts and a million.

    Raises:
        ValueError: the lengths differ, or there is nothing to score.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            f"{true.shape} true and {predicted.shape} predicted labels cannot be scored."
        )
    classes = len(labels)
    confusion = confusion_matrix(true, predicted, labels=np.arange(classes))  # (C, C)
    count = int(confusion.sum())
    draws = np.random.default_rng(seed).multinomial(
        count, confusion.ravel() / count, size=samples
    )  # (samples, C·C)
    draws = draws.reshape(samples, classes, classes)
    tail = 100 * (1 - confidence) / 2

    def interval(values: np.ndarray) -> Interval:
        low, high = np.percentile(values, [tail, 100 - tail])
        return float(low), float(high)

    return Evaluation(
        labels=tuple(labels),
        confusion=confusion,
        accuracy=float(_accuracy(confusion)),
        macro_f1=float(_macro_f1(confusion)),
        accuracy_interval=interval(_accuracy(draws)),
        macro_f1_interval=interval(_macro_f1(draws)),
        confidence=confidence,
        loss=loss,
    )


def score_logits(logits: torch.Tensor, true: Sequence[int], labels: Sequence[str]) -> Evaluation:
    """An `Evaluation` of logits of shape (n, C), with the mean cross-entropy over all n."""
    loss = torch.nn.functional.cross_entropy(logits, torch.as_tensor(true)).item()
    return evaluate_predictions(true, logits.argmax(-1).numpy(), labels, loss=loss)


def watched_scores(score: Evaluation) -> dict[str, float]:
    """The scores on dev by the names under which the training loop records them."""
    return {
        "dev_loss": float(score.loss or 0.0),
        "dev_accuracy": score.accuracy,
        "dev_macro_f1": score.macro_f1,
    }


def _accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share on the diagonal of matrices of shape (..., C, C)."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def _macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 of the classes that occur, among the true or the predicted, of (..., C, C)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # (..., C)
    occurrences = confusion.sum(-1) + confusion.sum(-2)  # (..., C)
    f1 = 2 * hits / np.maximum(occurrences, 1)
    return f1.sum(-1) / np.maximum((occurrences > 0).sum(-1), 1)
