"""Attention weights as heat maps, for print and small screens. Used in chapters 3, 4 and 6."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.errors import SettingsError
from companion.plots.theme import CARD, INK, in_style

COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 7: 4, 8: 4}  # of panels, by their number; else 4
WIDEST = {1: 5.6, 2: 3.4, 3: 2.5, 4: 1.9}  # of one panel in inches, by columns
LONGEST_LABEL = 16  # in widths of a Latin letter


@in_style
def attention_map(
    weights: Any,
    tokens: Sequence[str],
    title: str = "Attention weights",
    *,
    keys: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    label: str = "attention weight",
    numbers: bool | None = None,
) -> Figure:
    """One heat map a head: row i shows how much token i looks at each token.

    Args:
        weights: (T, T) or (N, T, T), or one text of a batch (1, N, T, T); float. All panels share
            one scale, from 0 to the largest weight; with negative values (scores before the
            softmax) it is symmetric about 0.
        tokens: The T tokens, up to about 40.
        title: Stands over the figure.
        keys: Tokens of the columns, where they are not those of the rows.
        names: A name for each panel; None: "head 0", "head 1" and so on.
        label: Stands beside the colours.
        numbers: Write each value into its cell; None: where they have room.

    Raises SettingsError when weights, tokens and names do not fit one another.
    """
    keys = tokens if keys is None else keys
    panels = _panels(weights, tokens, keys)
    count = len(panels)
    if names is not None and len(names) != count:
        raise SettingsError(
            f"There are {len(names)} panel names for {count} heads; expected as many."
        )
    if names is None:
        names = [""] if count == 1 else [f"head {head}" for head in range(count)]
    columns = COLUMNS.get(count, 4)
    if max(len(keys), len(tokens)) > 24:
        columns = min(columns, 3)
    rows = math.ceil(count / columns)
    cell = min(0.62, WIDEST[columns] / max(len(keys), len(tokens), 3))  # inches
    if numbers is None:
        numbers = cell >= 0.36
    size = min(9.0, 72 * cell * 0.8)
    every = math.ceil(6.0 / size) if size < 6 else 1  # label each, or every second, or third
    room = 0.075 * max(_width(_shortened(token)) for token in (*tokens, *keys)) + 0.3
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(
            columns * len(keys) * cell + room + 1.1 + 0.25 * columns,
            rows * (len(tokens) * cell + 0.3) + room + 0.5,
        ),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="compressed",
    )
    largest = float(np.abs(panels).max())
    scale: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": largest or 1}
    if panels.min() < 0:
        scale = {"cmap": "PuOr", "vmin": -largest, "vmax": largest}
    for place, panel in enumerate(grid.flat):
        if place >= count:
            panel.set_axis_off()
            continue
        panel.imshow(panels[place], aspect="equal", **scale)
        panel.grid(False)
        panel.set_title(names[place], fontweight="normal", loc="left", fontsize=9)
        if numbers:
            _write_numbers(panel, panels[place], largest, size)
    for panel in grid[:, 0]:
        _label(panel.yaxis, tokens, max(size, 6.0), every)
    for column in range(columns):
        panel = grid[(count - 1 - column) // columns, column]
        panel.tick_params(labelbottom=True)
        _label(panel.xaxis, keys, max(size, 6.0), every, rotation=90)
    figure.supxlabel("token looked at (key)", fontsize=10)
    figure.supylabel("token that looks (query)", fontsize=10)
    figure.suptitle(title, fontweight="bold", fontsize=11)
    figure.colorbar(grid.flat[0].images[0], ax=grid, label=label, shrink=0.8 if rows == 1 else 0.5)
    return figure


def _panels(weights: Any, tokens: Sequence[str], keys: Sequence[str]) -> np.ndarray:
    """(N, T, K) as float64; SettingsError where that is not what came."""
    if hasattr(weights, "detach"):
        weights = weights.detach().cpu().double()  # a tensor, perhaps in bf16 or with a gradient
    panels = np.asarray(weights, dtype=float)
    found = panels.shape
    if panels.ndim == 4 and len(panels) == 1:
        panels = panels[0]
    elif panels.ndim == 2:
        panels = panels[None]
    wanted = (len(tokens), len(keys))
    if isinstance(tokens, str) or panels.ndim != 3 or panels.shape[1:] != wanted or not panels.size:
        raise SettingsError(
            f"The weights have the shape {found}, but there are {wanted[0]} tokens for the rows "
            f"and {wanted[1]} for the columns; expected {wanted}, or (heads, *{wanted})."
        )
    if not np.isfinite(panels).all():
        raise SettingsError(
            "The weights hold a value that is no finite number (NaN or infinite); look for a "
            "row that was masked everywhere, or a division by zero."
        )
    return panels


def _write_numbers(panel: Axes, values: np.ndarray, largest: float, size: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        colour = CARD if abs(value) > 0.6 * largest else INK
        panel.text(
            column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=size
        )


def _label(axis: Any, tokens: Sequence[str], size: float, every: int, rotation: int = 0) -> None:
    places = range(0, len(tokens), every)
    shown = [_shortened(tokens[place]) for place in places]
    # A token such as "$x$" is text, not a formula.
    axis.set_ticks(places, shown, fontsize=size, rotation=rotation, parse_math=False)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _shortened(token: str) -> str:
    """The token on one line, its end cut off where it is long."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in token)
    if _width(shown) <= LONGEST_LABEL:
        return shown
    while _width(shown) > LONGEST_LABEL - 1:
        shown = shown[:-1]
    return shown + "…"
