"""What a classifier got right, and how sure that is. Used in chapters 10 to 15."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion.errors import SettingsError
from companion.plots.theme import BLUE, CARD, INK, ORANGE, in_style, label_panel


@in_style
def confusion_matrix(
    confusion: Any, labels: Sequence[str], title: str = "Confusion matrix"
) -> Figure:
    """Counts of true against predicted labels, coloured by the share of the true label.

    Args:
        confusion: Integer matrix (C, C); row i, column j counts texts of label i called j.
        labels: The C names.
        title: Stands over the figure.
    """
    counts = np.asarray(confusion)
    classes = len(labels)
    if counts.shape != (classes, classes):
        raise SettingsError(
            f"The confusion matrix has the shape {counts.shape}, but there are {classes} labels; "
            f"expected ({classes}, {classes})."
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(totals, 1)
    side = 2.8 + 0.42 * classes
    figure, panel = plt.subplots(figsize=(side + 1.0, side), layout="compressed")
    image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(classes, classes):
        colour = CARD if shares[row, column] > 55 else INK
        panel.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)
    panel.set_xticks(range(classes), labels)
    if classes > 3:
        plt.setp(panel.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(classes), labels)
    panel.grid(False)
    figure.colorbar(image, ax=panel, label="share of the true label (%)", shrink=0.8)
    label_panel(panel, title, "predicted label", "true label")
    return figure


@in_style
def intervals(
    names: Sequence[str],
    values: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    *,
    baseline: float | None = None,
    baseline_name: str = "baseline",
    label: str = "accuracy (%)",
    title: str = "",
) -> Figure:
    """A dot and its interval for each name, the first on top, beside a line for the baseline.

    Args:
        names: What is compared.
        values, lows, highs: Of each name, in the unit that `label` gives.
        baseline: A value to beat.
        baseline_name: Its name in the legend.
        label: The value axis, with its unit.
        title: Stands over the figure.
    """
    sizes = {len(names), len(values), len(lows), len(highs)}
    if len(sizes) != 1:
        raise SettingsError(
            f"There are {len(names)} names, {len(values)} values, {len(lows)} lower and "
            f"{len(highs)} upper ends; expected as many of each."
        )
    figure, panel = plt.subplots(figsize=(7.0, 1.4 + 0.4 * len(names)))
    places = np.arange(len(names))
    panel.hlines(places, lows, highs, color=BLUE, linewidth=2)
    panel.plot(values, places, "o", color=BLUE)
    if baseline is not None:
        shown = f"{baseline_name} ({baseline:g})"
        panel.axvline(baseline, color=ORANGE, linestyle="--", linewidth=1.2, label=shown)
        figure.legend(loc="outside lower right")
    panel.set_yticks(places, names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    label_panel(panel, title, label, "")
    return figure
