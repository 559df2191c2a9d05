"""What a fine-tuning may do beyond the plain one; each is off unless it is given (chapter 13)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from torch import nn

from companion.classification.losses import WithLoss, balanced_weights
from companion.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of `fine_tune` that concern a classifier only; `TrainSettings` has the others.

    Raises:
        SettingsError: a value lies outside its range.
    """

    label_smoothing: float | None = None  # share of the target spread over all classes
    class_weights: Literal["balanced"] | Sequence[float] | None = None  # one number a class
    r_drop: float | None = None  # weight of the distance between two passes
    reinit_layers: int | None = None  # highest encoder layers that start anew
    threshold: Literal["macro-f1"] | None = None  # two classes: chosen on dev for this score

    def __post_init__(self) -> None:
        if self.label_smoothing is not None and not _within(self.label_smoothing, 0, 1):
            raise SettingsError(
                f"label_smoothing is {self.label_smoothing!r}; it is a share, from 0 up to but not "
                "including 1 (0.1 is usual)."
            )
        if self.r_drop is not None and not _within(self.r_drop, 0, math.inf):
            raise SettingsError(
                f"r_drop is {self.r_drop!r}; it is a weight, 0 or more (0.5 to 5 is usual)."
            )
        if self.reinit_layers is not None and (
            not isinstance(self.reinit_layers, int) or self.reinit_layers < 0
        ):
            raise SettingsError(
                f"reinit_layers is {self.reinit_layers}; it must be a whole number from 0 up."
            )
        if self.threshold not in (None, "macro-f1"):
            raise SettingsError(
                f'threshold is {self.threshold!r}; the one choice is "macro-f1", or leave it out.'
            )
        given = self.class_weights
        if given is None or given == "balanced":
            return
        fit = isinstance(given, list | tuple) and all(_within(w, 1e-9, math.inf) for w in given)
        if not fit:
            raise SettingsError(
                f'class_weights is {given!r}; it is "balanced" or a number above 0 for each class, '
                "in the order of the classes."
            )
        # A list, as JSON gives it back: a resumed run compares its settings.
        object.__setattr__(self, "class_weights", [float(w) for w in given])

    @classmethod
    def names(cls) -> set[str]:
        """The names of all settings."""
        return {f.name for f in fields(cls)}

    def refuse_unfit(self, labels: Sequence[str], *, has_dev: bool) -> None:
        """Raise SettingsError when these classes or splits cannot have this recipe."""
        given = self.class_weights
        if isinstance(given, list) and len(given) != len(labels):
            raise SettingsError(
                f"class_weights has {len(given)} numbers, but there are {len(labels)} classes: "
                f"{', '.join(labels[:10])}."
            )
        if self.threshold and len(labels) != 2:
            raise SettingsError(f"threshold is for two classes; the data has {len(labels)}.")
        if self.threshold and not has_dev:
            raise SettingsError("threshold is chosen on a dev split, and the data has none.")

    def loss_around(self, model: nn.Module, targets: Sequence[int], classes: int) -> nn.Module:
        """The module to train: the model itself, or the model within another loss.

        Args:
            model: the classifier.
            targets: the training texts' classes, (n,); "balanced" counts them.
            classes: how many classes the model tells apart.
        """
        weights = self.class_weights
        if not (self.label_smoothing or weights or self.r_drop):
            return model
        if weights == "balanced":
            weights = balanced_weights(targets, classes)
        return WithLoss(
            model,
            label_smoothing=self.label_smoothing or 0.0,
            class_weights=weights,
            r_drop=self.r_drop or 0.0,
        )


def _within(value: object, low: float, high: float) -> bool:
    """Whether a value is a number from `low` up to but not including `high`."""
    return isinstance(value, int | float) and low <= value < high
