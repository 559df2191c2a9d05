"""How a run went: loss, dev accuracy and rate over its updates. Used in chapters 8, 10 and 11."""

from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion.errors import SettingsError
from companion.plots.theme import BLUE, GREEN, ORANGE, SKY, in_style, label_panel


class HasRecords(Protocol):
    """What `training_curves` needs of a history: rows with `kind` "train" or "eval"."""

    @property
    def records(self) -> list[dict[str, Any]]: ...


@in_style
def training_curves(history: HasRecords, title: str = "Training") -> Figure:
    """Loss over the updates, and where recorded the dev accuracy and the learning rate.

    Args:
        history: Rows of kind "train" with `step`, `loss` and perhaps `learning_rate`, and of
            kind "eval" with `step` and perhaps `dev_loss`, `dev_accuracy` (a share, 0 to 1).
        title: Stands over the figure.
    """
    train = [row for row in history.records if row["kind"] == "train"]
    evals = [row for row in history.records if row["kind"] == "eval"]
    if not train:
        raise SettingsError("The history has no update to draw: train for at least one step.")

    def points(rows: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
        chosen = [row for row in rows if row.get(name) is not None]
        return [row["step"] for row in chosen], [row[name] for row in chosen]

    dev_loss, dev_accuracy = points(evals, "dev_loss"), points(evals, "dev_accuracy")
    rate = points(train, "learning_rate")
    panels = 1 + bool(dev_accuracy[0]) + bool(rate[0])
    figure, (axes,) = plt.subplots(1, panels, squeeze=False, figsize=(3.6 * panels, 3.2))
    steps, losses = points(train, "loss")
    window = max(1, len(losses) // 20)
    mean = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes[0].plot(steps, losses, color=SKY, alpha=0.45, linewidth=0.8, label="each update")
    axes[0].plot(steps[window - 1 :], mean, color=BLUE, label=f"mean of {window}")
    if dev_loss[0]:
        axes[0].plot(*dev_loss, "o-", color=ORANGE, label="dev")
    axes[0].legend()
    label_panel(axes[0], "Loss", "update", "cross-entropy (nats)")
    rest = iter(axes[1:])
    if dev_accuracy[0]:
        panel = next(rest)
        panel.plot(dev_accuracy[0], 100 * np.asarray(dev_accuracy[1]), "o-", color=ORANGE)
        label_panel(panel, "Dev accuracy", "update", "accuracy (%)")
    if rate[0]:
        panel = next(rest)
        panel.plot(*rate, color=GREEN)
        panel.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        label_panel(panel, "Learning rate", "update", "learning rate")
    figure.suptitle(title)
    return figure
