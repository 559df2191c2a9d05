"""What a checker expects of an answer; the first disappointment is the sentence a reader gets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


class NotYet(Exception):  # noqa: N818 (a verdict, not an error)
    """An answer is not right yet; the message says in a sentence why."""


def expect(condition: object, sentence: str) -> None:
    """End the check with `sentence` unless `condition` is true.

    A tensor of one truth value is a condition too.
    """
    if not bool(condition):
        raise NotYet(sentence)


def expect_equal(got: Any, want: Any, what: str) -> None:
    """End the check unless `got` equals `want`, for values and for lists of them.

    `what` names the value in the sentence: "the tokens of 'a b'".
    """
    if isinstance(want, list | tuple):
        expect(
            isinstance(got, Sequence) and not isinstance(got, str),
            f"{what} should be a {type(want).__name__} but is {_shown(got)}",
        )
        expect(len(got) == len(want), f"{what} should have {len(want)} items but has {len(got)}")
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            expect(one == other, f"{what}: item {index} should be {other!r} but is {_shown(one)}")
        return
    try:
        same = bool(got == want)
    except (TypeError, ValueError, RuntimeError):  # an array's comparison is no truth value
        same = False
    expect(same, f"{what} should be {want!r} but is {_shown(got)}")


def expect_close(
    got: Any, want: Any, what: str, *, relative: float = 1e-4, absolute: float = 1e-6
) -> None:
    """End the check unless the numbers in `got` are those in `want`, up to rounding.

    Args:
        got: The answer's number, tensor, array or list of numbers.
        want: What it should be; a tensor demands a tensor.
        what: Names the value in the sentence: "the loss of the first batch".
        relative, absolute: Largest difference, as in `torch.isclose`.

    The sentence tells which of these differs first: kind, shape, dtype, a value.
    """
    expect(got is not None, f"{what} is None; does your function return it?")
    if isinstance(want, torch.Tensor):
        expect(
            isinstance(got, torch.Tensor),
            f"{what} should be a torch.Tensor but is of type {type(got).__name__}",
        )
    try:
        found, wanted = _as_tensor(got), _as_tensor(want)
    except (TypeError, ValueError, RuntimeError):
        raise NotYet(f"{what} should hold numbers but is {_shown(got)}") from None
    expect(
        found.shape == wanted.shape,
        f"{what} should have the shape {tuple(wanted.shape)} but has {tuple(found.shape)}",
    )
    # float32 or float64 is a matter of precision, a whole number or a truth value is not.
    expect(
        found.is_floating_point() == wanted.is_floating_point()
        or not isinstance(want, torch.Tensor),
        f"{what} should have the dtype {wanted.dtype} but has {found.dtype}",
    )
    found, wanted = found.detach().cpu().double(), wanted.detach().cpu().double()
    near = torch.isclose(found, wanted, rtol=relative, atol=absolute, equal_nan=True)
    if not bool(near.all()):
        first = tuple(int(index) for index in (~near).nonzero()[0])
        value, right = float(found[first]), float(wanted[first])
        place = f" at {list(first)}" if first else ""
        others = f" ({int((~near).sum())} of {near.numel()} values differ)" if first else ""
        shown = "not a number" if math.isnan(value) else f"{value:.6g}"
        raise NotYet(f"{what} should be {right:.6g}{place} but is {shown}{others}")


def _as_tensor(value: Any) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))


def _shown(value: Any) -> str:
    """A value as a sentence can hold it."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "…"
