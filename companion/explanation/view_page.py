"""The HTML of one attention view: a light card with controls, a drawing, and its script.

It holds its data and its code, so that it works in Jupyter, on Colab and in the book's pages. The
libraries d3 and jQuery come from the addresses below; the book's pages rewrite these to files of
their own (book/extensions/companion_site/attention_views.py).
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from companion.explanation.bertviz_script import around, drawing

if TYPE_CHECKING:
    from IPython.display import HTML

D3 = "https://cdnjs.cloudflare.com/ajax/libs/d3/5.7.0/d3.min.js"
JQUERY = "https://cdnjs.cloudflare.com/ajax/libs/jquery/2.2.4/jquery.min.js"
DECIMALS = 4

CARD = (
    "background:#fff;color:#262626;color-scheme:light;padding:0.6rem;border-radius:0.4rem;"
    "box-sizing:border-box;max-width:100%;font-size:15px;line-height:1.5;"
    "font-family:'Helvetica Neue',Helvetica,Arial,'Noto Sans SC','Noto Sans CJK SC',"
    "'PingFang SC','Microsoft YaHei',sans-serif"
)
PAGE = """\
<div id="{identity}" class="attention-view mathjax_ignore tex2jax_ignore" style="{card}">
<div style="display:flex;flex-wrap:wrap;gap:0.3em 1em;margin-bottom:0.4em">{controls}</div>
<div class="bv-vis" style="overflow-x:auto">The live view is drawn where scripts may run.</div>
<div style="font-size:13px;color:#595959;margin-top:0.4em">{hint}</div>
</div>
<script>
/* Drawn by BertViz 1.4.1 by Jesse Vig, Apache License 2.0 */
{script}</script>
"""
Words = tuple[str, str]  # English and Chinese
PARTS: list[tuple[str, Words]] = [
    ("0", ("all", "全部")),
    ("1", ("first → first", "第一句 → 第一句")),
    ("2", ("second → second", "第二句 → 第二句")),
    ("3", ("first → second", "第一句 → 第二句")),
    ("4", ("second → first", "第二句 → 第一句")),
]
STEPS: list[tuple[str, Words]] = [
    ("steps", ("step by step", "逐步计算")),
    ("weights", ("weights only", "仅看权重")),
]
CONTROLS: dict[str, tuple[Words, list[tuple[str, Words]]]] = {
    "layer": (("Layer", "层"), []),
    "att_head": (("Head", "头"), []),
    "token": (("Token", "词元"), []),
    "filter": (("Show", "显示"), PARTS),
    "steps": (("Show", "显示"), STEPS),
    "detail": (("Enlarge layer, head", "放大（层，头）"), [("", ("none", "无"))]),
}
VIEWS: dict[str, tuple[list[str], Words]] = {  # its controls, and a hint below it
    "head_view": (
        ["layer"],
        (
            "Point at a token to see its lines alone. A coloured square is a head: a click hides "
            "or shows it, a double click (or Enter) shows it alone.",
            "将指针移到词元上，只看它的连线。每个彩色方块是一个头：单击隐藏或显示，双击（回车）只显示它。",
        ),
    ),
    "model_view": (
        ["detail"],
        (
            "One picture a head. A click enlarges it, a click on its heading closes it.",
            "每个头一幅图。单击放大，单击标题关闭。",
        ),
    ),
    "neuron_view": (
        ["layer", "att_head", "token", "steps"],
        (
            "Point at a token on the left. Blue is positive, orange negative; the darker, the "
            "larger. H is the width of a head.",
            "将指针移到左侧的词元上。蓝色为正，橙色为负，颜色越深数值越大。H 是一个头的宽度。",
        ),
    ),
}


def view_page(view: str, data: dict[str, Any]) -> "HTML":
    """The output of one view of VIEWS. `data` is what attention_views.js reads."""
    parts = {
        "DRAWING": drawing(view),
        "DATA": safe_json(data | {"unit": 10**DECIMALS}),
        "JQUERY": JQUERY,
        "D3": D3,
    }
    from IPython.display import HTML

    kinds, hint = VIEWS[view]
    if data.get("second_start"):
        kinds = [*kinds, "filter"]
    parts["ID"] = identity = _identity(view + parts["DATA"])
    # In one pass, so that a token that looks like a place to fill is left as it is.
    script = re.sub(r"__([A-Z]+\d?)__", lambda place: parts[place.group(1)], around())
    page = PAGE.format(
        identity=identity,
        card=CARD,
        controls="".join(_select(kind) for kind in kinds),
        hint=_spoken("span", hint),
        script=script,
    )
    return HTML(page)


def safe_json(data: Any) -> str:
    """JSON that may stand inside a script element: plain ASCII, and no sign that could end it."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return written.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def text_width(texts: Iterable[str], size: int) -> int:
    """Pixels that the widest of these texts needs at this size of type, and some room."""

    def letters(text: str) -> float:
        return sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.6 for sign in text)

    return max(60, round(size * (1.5 + max(map(letters, texts)))))


def _spoken(tag: str, words: Words, attributes: str = "") -> str:
    """An element in English, which the script turns into Chinese on a Chinese page."""
    return f'<{tag}{attributes} data-zh="{words[1]}">{words[0]}</{tag}>'


def _select(kind: str) -> str:
    name, entries = CONTROLS[kind]
    options = "".join(_spoken("option", words, f' value="{value}"') for value, words in entries)
    select = f'<select class="bv-{kind}" style="max-width:12em">{options}</select>'
    return f"<label>{_spoken('span', name)} {select}</label>"


_seen: Counter[str] = Counter()


def _identity(content: str) -> str:
    """An HTML id: the same whenever a notebook runs anew, another where content is repeated."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    _seen[digest] += 1
    return f"bertviz-{digest}-{_seen[digest]}"
