"""BertViz's drawing code, taken from the installed package and mended.

As it is, its scripts repeat HTML ids, so that one view on a page answers in another's place, and
hand the data over in a global variable, where the next view's data replaces it. The changes are
listed here one by one, most of them calls of functions in attention_views.js; a version of BertViz
that they do not fit is refused in a sentence.
"""

import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from companion.errors import CompanionError

AROUND = Path(__file__).with_name("attention_views.js")
BODY = re.compile(
    r"requirejs\(\['jquery', ?'d3'\],\s*function ?\(\$, d3\) \{(.*)\}\);\s*$", re.DOTALL
)
SHORTER = ((r"(?m)^ *(//.*)?\n", ""), (r"(?m)^ +", ""))
# What is changed in every script, as (pattern, replacement): ids become classes of our own.
EVERYWHERE = (
    (r"const params = [^\n]*", ""),
    (r"`#\$\{config\.rootDivId\} #(\w+)`", r"`#${config.rootDivId} .bv-\1`"),
    (r'\.attr\("id", ([^()\n]+)\)', r'.attr("class", "bv-" + (\1))'),
    (r"\.select\((['\"])#([\w-]+)\1\)", r'.select(".bv-\2")'),
    (r"\.select\((['\"])#\1 \+ id\)", r'.select(".bv-" + id)'),
    (r"console\.log\([^;\n]*\)", "null"),
)
LEFT_OVER = re.compile(r'"id"|\} #|(select|selectAll|\$)\(["\']#|_params|PYTHON_PARAMS')

# What is changed in one script, as (found, replacement). The columns of tokens are as wide as
# these need (data.box); the card scrolls a drawing that is wider.
FULL_WIDTH = '.attr("width", "100%")\n.attr("height", height + "px");'
HEAD = (
    ("const BOXWIDTH = 110;", "const BOXWIDTH = data.box;"),
    (FULL_WIDTH, ".call(fit, height);"),
    ('.attr("height", CHECKBOX_SIZE);', '.attr("height", CHECKBOX_SIZE).call(asCheckBoxes);'),
    (
        "d ? headColors(i): lighten(headColors(i)));",
        'd ? headColors(i): lighten(headColors(i))).attr("aria-checked", d => String(d));',
    ),
)
MODEL = (
    ("const DETAIL_BOX_WIDTH = 80;", "const DETAIL_BOX_WIDTH = data.box;"),
    ("const DETAIL_WIDTH = 300;", "const DETAIL_WIDTH = 140 + 2 * data.box;"),
    ("const DIV_WIDTH = 970;", "const DIV_WIDTH = data.width;"),
    (
        '.attr("width", DIV_WIDTH)\n.attr("height", config.divHeight)',
        ".call(fit, config.divHeight)",
    ),
    # With few heads the pictures would be much taller than wide.
    ("7 * (12 / config.totalHeads);", "Math.min(10, 7 * (12 / config.totalHeads));"),
    ("x = leftPos + THUMBNAIL_PADDING -", "x = -8 + Math.max(8, leftPos + THUMBNAIL_PADDING -"),
    ("DETAIL_WIDTH + 8;", "DETAIL_WIDTH + 8);"),
    (
        'renderDetailText(config.rightText, "rightText", posRightText, y, layerIndex);',
        'renderDetailText(config.rightText, "rightText", posRightText, y, layerIndex);'
        "closesOnClick(config);",
    ),
    (
        'clickRegion.on("click",',
        'clickRegion.call(asPicture, layerIndex, headIndex).on("click",',
    ),
    ("config.detail_head = headIndex;", "config.detail_head = headIndex; showEnlarged(config);"),
    ("config.detail_head = null;", "config.detail_head = null; showEnlarged(config);"),
    # Drawn anew, nothing is enlarged.
    (
        "renderAxisLabels();",
        "config.detail_layer = null; showEnlarged(config); renderAxisLabels();",
    ),
    ("initialize();\nrender();", "initialize();\nofferPictures(config);\nrender();"),
)
VECTORS = "return getColor('neg')\n}\n})\n.style(\"opacity\", function (d) {\nreturn "
NEURON = (
    ("const BOXWIDTH = TEXT_SIZE * 8;", "const BOXWIDTH = data.box;"),
    ("const MATRIX_WIDTH = 200;", "const MATRIX_WIDTH = 140;"),
    ("const HEIGHT_PADDING = 100;", "const HEIGHT_PADDING = 50;"),
    ("const HEADING_TEXT_SIZE = 16;", "const HEADING_TEXT_SIZE = 14;"),
    ("posQueries + 68", "posQueries + 47"),
    ("posKeys + 73", "posKeys + 53"),
    ("posProduct + 28", "posProduct + 9"),
    # The boxes show the scaled product.
    ("posDotProduct - 6", "posDotProduct - 12"),
    (r"' \u2219 k'", r"'\u2219k/\u221aH'"),
    (FULL_WIDTH, ".call(fit, height);"),
    # Full colour stands for the largest value of each kind.
    (
        VECTORS + "Math.tanh(Math.abs(d) / 4);",
        VECTORS + 'shade(d, largest[id == "product" ? "products" : "vectors"]);',
    ),
    (
        'return Math.tanh(Math.abs(d) / 4);\n})\n.style("stroke",',
        'return shade(d, largest.scores);\n})\n.style("stroke",',
    ),
    ("return Math.tanh(Math.abs(d) / 4);", "return shade(d, largest.products);"),
    # The part that is seen answers, and of this view.
    (
        "var svg = d3.select(`#${config.rootDivId} .bv-vis`);\n"
        "highlightSelection(svg, config.index);",
        "var svg = d3.select(`#${config.rootDivId} .bv-collapsed`);\n"
        "highlightSelection(svg, config.index);\nshowComputation(svg, config.index);",
    ),
    ('d3.select(".bv-vis")', "d3.select(`#${config.rootDivId} .bv-expanded`)"),
    # What the mouse does, the selects show.
    ("config.expanded = false;\nshowCollapsed();", 'chooseSteps("weights");'),
    ("config.expanded = true;\nshowExpanded();", 'chooseSteps("steps");'),
    ("config.index = index;\n", "config.index = index;\nshowToken(index);\n"),
    (
        "config.index = null;\nunhighlightSelection(svg);",
        "if (config.expanded) return;\nconfig.index = null;\nunhighlightSelection(svg);",
    ),
    ("config.expanded = false;\nconfig.bi", "offerTokens(config, render);\nconfig.bi"),
)
CHANGES = {"head_view": HEAD, "model_view": MODEL, "neuron_view": NEURON}


@cache
def drawing(view: str) -> str:
    """BertViz's code that draws one view, changed as listed; CompanionError if it is missing."""
    spec = find_spec("bertviz")
    if spec is None or find_spec("IPython") is None:
        raise CompanionError(
            "The attention views are drawn by BertViz, which is not installed: "
            "`pip install bertviz`, then run this again. "
            "`companion.plots.attention_map` draws the same weights without it."
        )
    source = (Path(str(spec.origin)).parent / f"{view}.js").read_text(encoding="utf-8")
    found = BODY.search(source)
    code = found.group(1) if found else ""
    for pattern, new in EVERYWHERE + SHORTER:
        code = re.sub(pattern, new, code)
    fits = not LEFT_OVER.search(code)
    for old, new in CHANGES[view]:
        fits = fits and old in code
        code = code.replace(old, new, 1)
    if not fits:
        raise CompanionError(
            f"BertViz {version('bertviz')} draws its views in another way than version 1.4.1, "
            "for which these pages were written: `pip install bertviz==1.4.1`."
        )
    return code


@cache
def around() -> str:
    """Our script, with places for the drawing code, the data, the id and two addresses."""
    code = AROUND.read_text(encoding="utf-8")
    for pattern, new in SHORTER:
        code = re.sub(pattern, new, code)
    return code
