"""Attention weights as views that answer to the mouse: the heads, the whole model, one neuron.

Drawn by BertViz (Vig 2019, "A Multiscale Visualization of Attention in the Transformer Model") from
any tensors: of the book's model, of another one, or computed by hand. Letters as in
`companion.model`. Used in chapters 3, 4 and 6; `companion.plots.attention_map` stands still and can
be printed.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from companion.errors import SettingsError
from companion.explanation.view_page import DECIMALS, text_width, view_page

if TYPE_CHECKING:
    from IPython.display import HTML

MAX_TOKENS = 64  # more cannot be told apart on a screen
LONGEST_TOKEN = 40  # letters
# About 0.8 MB in the notebook, and as many lines as a browser draws in a second or two.
MAX_NUMBERS = 150_000


def head_view(
    attentions: Sequence[Any],
    tokens: Sequence[str],
    second_start: int | None = None,
    layer: int = 0,
    heads: Sequence[int] | None = None,
) -> "HTML":
    """Lines from each token to those it looks at, one colour a head, for one layer at a time.

    Args:
        attentions: A list with a tensor (N, T, T) or (1, N, T, T) for each layer, float; row i
            holds how much token i looks at each token. A line is invisible at weight 0 and strong
            at 1. Rows need not sum to one.
        tokens: The T tokens, at most 64. They are shown as they are, whatever they hold.
        second_start: Where the second text of a pair begins; the view then offers each part alone.
        layer: Shown first; counted from 0, as everywhere in the view.
        heads: Shown first; None: all.

    Returns an object that a notebook shows when it ends a cell. Raises SettingsError when shapes
    and tokens do not fit one another, when a weight is not a number, or for more than the view can
    show; CompanionError when BertViz is not installed.
    """
    weights = _layers("attentions", attentions, tokens)
    _check_index("layer", layer, len(weights))
    for head in [] if heads is None else heads:
        _check_index("head", head, weights.shape[1])
    if heads is not None and not len(heads):
        raise SettingsError("`heads` is empty; name at least one, or leave it out to show all.")
    data = _common(weights, tokens, second_start, size=15)
    return view_page(
        "head_view",
        data
        | {
            "layer": int(layer),
            "heads": None if heads is None else [int(head) for head in heads],
            "width": 115 + 2 * data["box"],
        },
    )


def model_view(
    attentions: Sequence[Any], tokens: Sequence[str], second_start: int | None = None
) -> "HTML":
    """Every head of every layer as a small picture; a click enlarges one.

    Arguments, result and errors as in `head_view`.
    """
    weights = _layers("attentions", attentions, tokens)
    data = _common(weights, tokens, second_start, size=13)
    return view_page("model_view", data | {"width": max(700, 160 + 2 * data["box"])})


def neuron_view(
    queries: Sequence[Any],
    keys: Sequence[Any],
    tokens: Sequence[str],
    layer: int = 0,
    head: int = 0,
) -> "HTML":
    """Where a weight comes from: query times key, neuron by neuron, their scaled sum, the softmax.

    Args:
        queries, keys: Lists with a tensor (N, T, H) or (1, N, T, H) for each layer, float. The
            weights are softmax(Q K^T / sqrt(H)); no mask is applied.
        tokens: The T tokens, at most 64.
        layer, head: Shown first; counted from 0.

    Result and errors as in `head_view`.
    """
    asked, offered = _layers("queries", queries, tokens), _layers("keys", keys, tokens)
    if asked.shape != offered.shape:
        raise SettingsError(
            f"The queries hold {_sizes(asked)}, the keys {_sizes(offered)}; expected the same."
        )
    _check_index("layer", layer, len(asked))
    _check_index("head", head, asked.shape[1])
    scores = asked @ offered.transpose(-2, -1) / math.sqrt(asked.shape[-1])  # (layers, N, T, T)
    products = asked.abs().amax(-2) * offered.abs().amax(-2)  # (layers, N, H), the largest ones
    data = _common(scores.softmax(dim=-1), tokens, None, size=15)
    data["box"] += 16  # for the sign that hides the steps
    return view_page(
        "neuron_view",
        data
        | {
            "queries": _rounded(asked),
            "keys": _rounded(offered),
            "layer": int(layer),
            "head": int(head),
            "width": 584 + 2 * data["box"],
            # What full colour stands for.
            "largest": {
                "vectors": max(_largest(asked), _largest(offered)),
                "products": _largest(products),
                "scores": _largest(scores),
            },
        },
    )


def _layers(name: str, given: Sequence[Any], tokens: Sequence[str]) -> Tensor:
    """(layers, N, T, T or H) in float64, fit for the tokens; else SettingsError."""
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise SettingsError("`tokens` must be a list with one string a token, not one text or ids.")
    count = len(tokens)
    if not 1 <= count <= MAX_TOKENS:
        raise SettingsError(
            f"There are {count} tokens; a view shows 1 to {MAX_TOKENS} of them legibly. Take a "
            "shorter text, or some of the tokens with their rows and columns of each tensor."
        )
    square = name == "attentions"
    layers: list[Tensor] = []
    for index, one in enumerate(given):
        layer = torch.as_tensor(one).detach().to("cpu", torch.float64)
        shape = tuple(layer.shape)
        if layer.dim() == 4 and len(layer) > 1:
            raise SettingsError(
                f"`{name}[{index}]` has the shape {shape} and so holds {len(layer)} texts; a view "
                f"shows one: `[layer[:1] for layer in {name}]` keeps the first."
            )
        layer = layer[0] if layer.dim() == 4 and len(layer) else layer
        fits = layer.dim() == 3 and layer.numel() > 0 and layer.shape[1] == count
        if not fits or (square and layer.shape[2] != count):
            raise SettingsError(
                f"`{name}[{index}]` has the shape {shape}, but there are {count} tokens; expected "
                f"(heads, {count}, {count if square else 'head width'}) for each layer of a list."
            )
        if not layer.isfinite().all():
            raise SettingsError(
                f"`{name}[{index}]` holds a value that is no finite number (NaN or infinite); look "
                "for a row that was masked everywhere, or for a division by zero."
            )
        layers.append(layer)
    if len({layer.shape for layer in layers}) != 1:
        shapes = ", ".join(str(tuple(layer.shape)) for layer in layers) or "no layer"
        raise SettingsError(f"`{name}` holds {shapes}; expected layers of one shape.")
    stacked = torch.stack(layers)
    if stacked.numel() > MAX_NUMBERS:
        raise SettingsError(
            f"`{name}` holds {stacked.numel():,} numbers, {_sizes(stacked)}; a view shows at most "
            f"{MAX_NUMBERS:,}, lest the page be slow. Pass fewer layers, such as `{name}[:2]`, or "
            "a shorter text."
        )
    return stacked


def _sizes(stacked: Tensor) -> str:
    return f"{len(stacked)} layers of the shape {tuple(stacked.shape[1:])}"


def _check_index(name: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise SettingsError(f"There is no {name} {index}: they are numbered 0 to {count - 1}.")


def _common(
    weights: Tensor, tokens: Sequence[str], second_start: int | None, size: int
) -> dict[str, Any]:
    """What all views need: weights, tokens, and the width of a column of them in pixels."""
    if second_start is not None and not 0 < second_start < len(tokens):
        raise SettingsError(
            f"`second_start` is {second_start}, but the second text must begin at one of the "
            f"tokens 1 to {len(tokens) - 1}; leave it out where there is only one text."
        )
    shown = [
        token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"
        for token in tokens
    ]
    return {
        "weights": _rounded(weights),
        "tokens": shown,
        "second_start": None if second_start is None else int(second_start),
        "box": text_width(shown, size),
    }


def _largest(values: Tensor) -> float:
    return round(values.abs().max().item(), DECIMALS) or 1.0


def _rounded(values: Tensor) -> Any:
    """Nested lists of whole numbers, in units of the last decimal kept: short to write."""
    return (values * 10**DECIMALS).round().long().tolist()
