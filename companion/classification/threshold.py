"""A decision threshold for two unequal classes, chosen on dev (chapter 13)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from companion.errors import SettingsError


def best_margin(logits: torch.Tensor, true: Sequence[int]) -> float:
    """How far the logit of class 1 must lead before calling that class gives the best macro-F1.

    A lead of m is a probability of 1 / (1 + e^-m): a margin of 0 is a threshold of 0.5.

    Args:
        logits: (n, 2), of texts that did not train the model.
        true: (n,), 0 or 1.

    Returns:
        A number halfway between the margins of two neighbouring texts. Among equals the one
        nearest to 0; 0 itself where nothing is better, or one class does not occur.
    """
    margins = (logits[:, 1].double() - logits[:, 0].double()).numpy()  # (n,), log-odds of class 1
    order = np.argsort(margins, kind="stable")
    margins, ones = margins[order], np.asarray(true)[order]
    if not 0 < ones.sum() < len(ones):
        return 0.0
    # Cut k calls the k texts of the smallest margins 0 and the others 1.
    middles = (margins[1:] + margins[:-1]) / 2
    cuts = 1 + np.flatnonzero(margins[1:] > margins[:-1])  # equal ones stay together
    cuts = np.append(cuts, np.searchsorted(margins, 0.0, side="right"))  # what no threshold does
    shifts = np.append(middles[cuts[:-1] - 1], 0.0)
    hits_0 = np.append(0, np.cumsum(1 - ones))[cuts]
    hits_1 = ones.sum() - np.append(0, np.cumsum(ones))[cuts]
    # F1 is twice the hits over all that are in the class plus all that are called so.
    f1_0 = 2 * hits_0 / ((len(ones) - ones.sum()) + cuts)
    f1_1 = 2 * hits_1 / (ones.sum() + (len(ones) - cuts))
    macro = (f1_0 + f1_1) / 2
    best = np.flatnonzero(macro > macro.max() - 1e-12)
    return float(shifts[best[np.argmin(abs(shifts[best]))]])


def move_threshold(model: nn.Module, margin: float) -> None:
    """Take `margin` off the bias of class 1 in the head, in place.

    Class 1 then wins exactly where it led by more than the margin. So whoever opens the saved
    model decides by the threshold, plain transformers too. The probabilities move along, and
    0.5 is the border again: they are no longer those that the training data suggest.

    Raises:
        SettingsError: the model's last linear layer has no bias for two classes.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    head = linear[-1] if linear else None
    if head is None or head.out_features != 2 or head.bias is None:
        raise SettingsError(
            f"threshold needs a head that ends in a linear layer with a bias for two classes; "
            f"{type(model).__name__} has none. Leave it out for this model."
        )
    with torch.no_grad():
        head.bias[1] -= margin
