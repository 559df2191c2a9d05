"""The options of `companion train` beyond plain fine-tuning, and how their values are read."""

from typing import Annotated, Any

import typer

_PANEL = "Beyond plain fine-tuning (each is off unless given)"


def _option(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=_PANEL)


LayerDecay = Annotated[
    float | None,
    _option("Factor from each layer's rate to that of the layer below, such as 0.9."),
]
AverageWeights = Annotated[
    str | None,
    _option("Keep a moving average of the weights: auto, or its decay, such as 0.99."),
]
ReinitLayers = Annotated[
    int | None,
    _option("How many of the highest layers start anew, with the pooler."),
]
LabelSmoothing = Annotated[
    float | None,
    _option("Share of each target that is spread over all classes, such as 0.1."),
]
RDrop = Annotated[
    float | None,
    _option(
        "Weight of the distance between two passes with different dropout, such as 1; takes "
        "twice the time."
    ),
]
ClassWeights = Annotated[
    str | None,
    _option("For unequal classes: balanced, or a number for each with commas between."),
]
Threshold = Annotated[
    str | None,
    _option(
        "For two unequal classes: macro-f1 chooses on dev from which probability on the second "
        "one is called."
    ),
]


def as_number(given: str | None) -> float | str | None:
    """The number that a text is, or the text: whether it fits is for the settings to say."""
    try:
        return given if given is None else float(given)
    except ValueError:
        return given


def as_numbers(given: str | None) -> list[float] | str | None:
    """The numbers of a list with commas, or the text."""
    if given is None:
        return None
    numbers = [as_number(part) for part in given.split(",")]
    floats = [n for n in numbers if isinstance(n, float)]
    return floats if len(floats) == len(numbers) else given
