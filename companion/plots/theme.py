"""One style for all figures of the book.

Figures stand on a light card of their own, so that they read the same on a light and on a dark
page; their colours can be told apart with any colour vision (Okabe and Ito's palette); Chinese
is drawn with an installed font that has it.
"""

import re
import warnings
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

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
            interactive = mpl.is_interactive()
        # A notebook's backend, loaded by its first figure, makes it so; the context undoes that.
        mpl.interactive(interactive)
        plt.close(figure)
        _warn_of_boxes(figure)
        return figure

    return styled


def label_panel(axes: Axes, title: str, x: str, y: str) -> None:
    """Title and axis names of one panel."""
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
