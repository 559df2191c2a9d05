"""What a search may try: ranges and choices of settings, around the defaults (chapter 13)."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from datasets import Dataset

from companion.classification.encoders import load_encoder
from companion.classification.fine_tune import default_epochs, default_learning_rate, fine_tune
from companion.classification.recipe import Recipe
from companion.errors import SettingsError
from companion.training import TrainSettings

# What `None` amounts to, where the default of a setting is to be off.
OFF = {"label_smoothing": 0.0, "r_drop": 0.0, "reinit_layers": 0, "layer_decay": 1.0}
NO_SETTINGS = ("out", "resume", "watch", "progress")  # of a run, not of its result


@dataclass(frozen=True)
class Span:
    """Numbers from `low` to `high`, both included.

    Attributes:
        log: equal ratios are equally likely, not equal differences: right for rates.
        whole: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or (self.log and self.low <= 0):
            raise SettingsError(
                f"A span from {self.low:g} to {self.high:g} is impossible; it goes from the "
                "smaller to the larger number, and with log=True from above 0."
            )

    def nearest(self, value: float) -> float:
        """The number of the span that is closest to `value`."""
        return min(max(value, self.low), self.high)


Space = Mapping[str, Span | Sequence[Any]]


def default_space(usual: Mapping[str, Any], fixed: Mapping[str, Any]) -> Space:
    """What is tried when the user names nothing, around the defaults `usual`.

    Rates of a quarter to four times the default, epochs of a half to one and a half times, the
    usual batch sizes, and the regularisers from nothing to a lot. Names in `fixed` are left out.
    """
    rate, epochs = usual["learning_rate"], usual["epochs"]
    space: dict[str, Span | Sequence[Any]] = {
        "learning_rate": Span(three_digits(rate / 4), three_digits(rate * 4), log=True),
        "epochs": Span(max(1, epochs // 2), epochs + max(1, epochs // 2), whole=True),
        "batch_size": (16, 32, 64),
        "warmup_ratio": Span(0.0, 0.3),
        "weight_decay": Span(1e-3, 0.3, log=True),
        "label_smoothing": Span(0.0, 0.2),
    }
    return {name: span for name, span in space.items() if name in usual and name not in fixed}


def usual_settings(
    model: str, rows: Dataset, labels: Sequence[str], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """Every setting of `fine_tune` as it would choose it for this model and these texts."""
    encoder, _ = load_encoder(model, labels)
    known = {**defaults_of_fine_tune(), **fixed}
    chosen = {
        "learning_rate": default_learning_rate(model, encoder.config),
        "epochs": default_epochs(len(rows), known["batch_size"]),
    }
    return {**known, **{k: v for k, v in chosen.items() if fixed.get(k) is None}}


def defaults_of_fine_tune() -> dict[str, Any]:
    """Every setting that `fine_tune` knows, with its default."""
    parameters = inspect.signature(fine_tune).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
    settings = (*fields(TrainSettings), *fields(Recipe))
    known = {**{field.name: field.default for field in settings}, **own}
    return {name: default for name, default in known.items() if name not in NO_SETTINGS}


def nearest_point(space: Space, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The point of the space that is closest to the defaults; it is tried first."""
    point: dict[str, Any] = {}
    for name, values in space.items():
        default = usual.get(name)
        if default is None:
            default = OFF.get(name)
        if isinstance(values, Span):
            low, high = values.low, values.high
            middle = math.sqrt(low * high) if values.log else (low + high) / 2
            point[name] = values.nearest(middle if default is None else default)
            if values.whole:
                point[name] = round(point[name])
        else:
            known = usual.get(name) if usual.get(name) in values else default
            point[name] = known if known in values else values[0]
    return point


def refuse_space(space: Space, fixed: Mapping[str, Any]) -> None:
    """A name that `fine_tune` does not know costs no trial.

    Raises:
        SettingsError: an empty space, an unknown name, or one that is fixed as well.
    """
    if not space:
        raise SettingsError("There is nothing to search: every setting is fixed.")
    known = defaults_of_fine_tune()
    if unknown := sorted(set(space) - set(known)):
        raise SettingsError(f"fine_tune has no setting {', '.join(unknown)} to search over.")
    if both := sorted(set(space) & set(fixed)):
        raise SettingsError(f"{', '.join(both)} cannot be fixed and searched over at once.")
    if empty := [n for n, values in space.items() if not isinstance(values, Span) and not values]:
        raise SettingsError(f"{', '.join(empty)} has no value to choose from.")


def distributions(space: Space) -> dict[str, Any]:
    """The same space as Optuna names it."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    return {
        name: CategoricalDistribution(list(values))
        if not isinstance(values, Span)
        else IntDistribution(round(values.low), round(values.high), log=values.log)
        if values.whole
        else FloatDistribution(values.low, values.high, log=values.log)
        for name, values in space.items()
    }


def tidy(values: Span | Sequence[Any], value: Any) -> Any:
    """A proposal as a person would write it: three digits that count, still within its span."""
    if not isinstance(values, Span) or values.whole:
        return value
    return values.nearest(three_digits(value))


def three_digits(value: float) -> float:
    """0.000123456 as 0.000123."""
    return float(f"{value:.3g}")
