"""The book's figures, in one style.

Figures stand on a light card of their own, so that they read the same on a light and on a dark
page; their colours can be told apart with any colour vision (Okabe and Ito's palette); Chinese
is drawn with an installed font that has it. Each function returns a figure and shows nothing:
a notebook draws the figure that ends a cell, a program calls `savefig`.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from companion.errors import SettingsError

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLUE, ORANGE, GREEN, PINK, AMBER, SKY = PALETTE
CARD, INK, FAINT = "#fcfcfa", "#262626", "#d9d9d4"
# Families with Chinese glyphs, as Linux, macOS, Windows and Colab know them.
CHINESE_FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Noto Sans CJK JP",
    "Arial Unicode MS",
)
CHINESE_FILES = re.compile(r"NotoSans(CJK|SC)|SourceHanSans|wqy|msyh|simhei|PingFang", re.I)
CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


class HasRecords(Protocol):
    """What `training_curves` needs of a history: rows with `kind` "train" or "eval"."""

    @property
    def records(self) -> list[dict[str, Any]]: ...


def use_style() -> None:
    """Draw every later figure of this process in the book's style."""
    mpl.rcParams.update(style())


def style() -> dict[Any, Any]:
    """Matplotlib's settings for the book's style."""
    return {
        "figure.figsize": (7.0, 3.8),
        "figure.dpi": 110,
        "figure.facecolor": CARD,
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.w_pad": 0.1,
        "figure.constrained_layout.h_pad": 0.1,
        "savefig.facecolor": CARD,
        "axes.facecolor": CARD,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": False,
        "axes.prop_cycle": cycler(color=PALETTE),
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "font.size": 10,
        "font.family": [family for family in ("DejaVu Sans", chinese_family()) if family],
    }


@cache
def chinese_family() -> str | None:
    """The first installed family with Chinese glyphs, or None."""
    # Matplotlib remembers the fonts of its first run; one installed since is added by its file.
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    if not known.intersection(CHINESE_FAMILIES):
        for file in font_manager.findSystemFonts():
            if CHINESE_FILES.search(Path(file).name):
                font_manager.fontManager.addfont(file)
        known = {entry.name for entry in font_manager.fontManager.ttflist}
    return next((family for family in CHINESE_FAMILIES if family in known), None)


Arguments = ParamSpec("Arguments")


def in_style(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the book's style, and let go of the figure so that a notebook shows it once."""

    @wraps(draw)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(style()):
            figure = draw(*args, **kwargs)
        plt.close(figure)
        _warn_of_boxes(figure)
        return figure

    return styled


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
    _label(axes[0], "Loss", "update", "cross-entropy (nats)")
    rest = iter(axes[1:])
    if dev_accuracy[0]:
        panel = next(rest)
        panel.plot(dev_accuracy[0], 100 * np.asarray(dev_accuracy[1]), "o-", color=ORANGE)
        _label(panel, "Dev accuracy", "update", "accuracy (%)")
    if rate[0]:
        panel = next(rest)
        panel.plot(*rate, color=GREEN)
        panel.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        _label(panel, "Learning rate", "update", "learning rate")
    figure.suptitle(title)
    return figure


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
    _label(panel, title, "predicted label", "true label")
    return figure


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
    _label(panel, title, f"length ({unit})", "share of the split's texts (%)")
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
    _label(panel, title, label, "")
    return figure


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y)


def _warn_of_boxes(figure: Figure) -> None:
    """One clear warning where the figure would show boxes in place of Chinese."""
    texts = [text.get_text() for text in figure.findobj(Text)]
    if chinese_family() is None and any(CHINESE.search(text) for text in texts):
        # In place of Matplotlib's own warning for each sign.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        warnings.warn(
            "No installed font has Chinese signs, so the figure shows boxes for them. Install one "
            "(Debian, Ubuntu and Colab: apt-get install fonts-noto-cjk), then restart Python.",
            stacklevel=3,
        )
