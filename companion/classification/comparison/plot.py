"""A comparison as a picture: what accuracy costs in time and space (chapter 2)."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from companion.classification.comparison.table import Comparison
from companion.plots import PALETTE, in_style, label_panel

MARKERS = "os^DvPX*<>"
LEAST_AREA, MOST_AREA = 25.0, 220.0  # square points


@in_style
def comparison_plot(comparison: Comparison, title: str = "What accuracy costs") -> Figure:
    """Accuracy with its interval against speed of prediction and against time of training.

    The area of a marker grows with the size on disk, which stands in the legend.
    """
    figure, panels = plt.subplots(1, 2, sharey=True, figsize=(9.0, 4.2))
    largest = max(c.disk_bytes for c in comparison.ranking) or 1
    for i, candidate in enumerate(comparison.ranking):
        score = candidate.scores
        low, high = score.accuracy_interval
        colour, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
        area = LEAST_AREA + (MOST_AREA - LEAST_AREA) * candidate.disk_bytes / largest
        name = f"{candidate.model} ({candidate.disk_bytes / 1e6:.1f} MB)"
        for panel, place in zip(
            panels, (candidate.texts_per_second, max(candidate.train_seconds, 0.01)), strict=True
        ):
            panel.vlines(place, 100 * low, 100 * high, color=colour, linewidth=1.2, alpha=0.7)
            panel.scatter(
                place, 100 * score.accuracy, area, color=colour, marker=marker, alpha=0.85
            )
        panels[0].plot([], [], marker, color=colour, markersize=7, label=name)
    for panel in panels:
        panel.set_xscale("log")
        panel.margins(x=0.12)
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.xaxis.set_major_formatter(FuncFormatter(_short))
        panel.xaxis.set_minor_formatter(NullFormatter())
    label_panel(panels[0], "Prediction", "texts a second", f"accuracy on {comparison.scored} (%)")
    label_panel(panels[1], "Training", "seconds", "")
    figure.legend(loc="outside right upper", title="model (size on disk)", alignment="left")
    said = f"{title}: {len(comparison.true):,} texts, 95% intervals, {comparison.device}"
    figure.suptitle(said, x=0.02, horizontalalignment="left", fontsize=10)
    return figure


def _short(value: float, _: object) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
