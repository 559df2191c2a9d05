"""How long the texts of a data set are. Used in chapters 5 and 11."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion.errors import SettingsError
from companion.plots.theme import INK, in_style, label_panel


@in_style
def length_histogram(
    lengths_by_split: Mapping[str, Sequence[int]],
    limit: int | None = None,
    *,
    unit: str = "tokens",
    title: str = "Length of the texts",
) -> Figure:
    """How long the texts of each split are, and how many a limit would cut.

    Args:
        lengths_by_split: Name of a split to the length of each of its texts, in `unit`.
        limit: The longest text a model takes; drawn as a line with the share beyond it.
        unit: "tokens" or "characters", for the axis.
        title: Stands over the figure.
    """
    every = np.array([length for values in lengths_by_split.values() for length in values])
    if not every.size:
        raise SettingsError("There is no text whose length could be drawn.")
    edges = np.linspace(0, max(every.max(), limit or 0) + 1, 51).tolist()
    figure, panel = plt.subplots()
    for name, values in lengths_by_split.items():
        weights = np.full(len(values), 100 / max(len(values), 1))
        label = f"{name} ({len(values):,} texts)"
        panel.hist(values, edges, weights=weights, histtype="step", linewidth=1.6, label=label)
    if limit is not None:
        beyond = 100 * float(np.mean(every > limit))
        label = f"limit {limit}: {beyond:.1f}% are longer"
        panel.axvline(limit, color=INK, linestyle="--", linewidth=1, label=label)
    panel.legend()
    label_panel(panel, title, f"length ({unit})", "share of the split's texts (%)")
    return figure
