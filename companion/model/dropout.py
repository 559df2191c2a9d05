"""Dropout, with cheaper coins on a CPU (chapter 4).

Srivastava et al. 2014: every number is set to zero with probability p and the rest is
divided by 1 - p, so that the expected value stays. PyTorch's generator for CPUs draws one
number per element; here one draw of 64 bits serves four elements.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_SIDES = 2**16  # of the coin: p is rounded to a multiple of 1 / 65536


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Zero each element of `x` with probability `p`, scale the rest; same shape and dtype."""
    if not training or p == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p)
    dropped = round(p * _SIDES)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    coins = draws.view(torch.int16)[: x.numel()].view(x.shape)  # from -32768 to 32767
    kept = coins >= dropped - _SIDES // 2
    return x * kept.to(x.dtype).mul_(_SIDES / (_SIDES - dropped))


class Dropout(nn.Module):
    """`dropout` as a layer: at work in train mode, the identity in eval mode."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        return dropout(x, self.p, self.training)
