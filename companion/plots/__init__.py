"""The book's figures, in one style.

Each function returns a figure and shows nothing: a notebook draws the figure that ends a cell, a
program calls `savefig`.
"""

from companion.plots.attention import attention_map
from companion.plots.lengths import length_histogram
from companion.plots.scores import confusion_matrix, intervals
from companion.plots.theme import (
    AMBER,
    BLUE,
    CARD,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PALETTE,
    PINK,
    SKY,
    chinese_family,
    in_style,
    label_panel,
    style,
    use_style,
)
from companion.plots.training import training_curves

__all__ = [
    "AMBER",
    "BLUE",
    "CARD",
    "FAINT",
    "GREEN",
    "INK",
    "ORANGE",
    "PALETTE",
    "PINK",
    "SKY",
    "attention_map",
    "chinese_family",
    "confusion_matrix",
    "in_style",
    "intervals",
    "label_panel",
    "length_histogram",
    "style",
    "training_curves",
    "use_style",
]
