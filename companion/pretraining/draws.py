"""Random numbers that depend on where they are used and on nothing else (chapter 8).

A mask must be another one each epoch, and yet the same after a kill, and on one process as on
eight. So there is no generator with a state to save: the draw for a position is a hash of (seed,
epoch, row, position). The hash is the output function of SplitMix64 (Steele, Lea and Flood 2014,
"Fast Splittable Pseudorandom Number Generators", figure 12), here on whole arrays.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform_draws(
    seed: int, epoch: int, rows: Sequence[int] | np.ndarray, width: int, count: int = 1
) -> Tensor:
    """Numbers from [0, 1), one for each of `count` questions at each position of each row.

    Args:
        seed, epoch: any whole numbers from 0 up.
        rows: B row numbers, from 0 up.
        width: T, positions in a row.
        count: independent draws for a position.

    Returns (count, B, T), float64. A row's draws do not depend on which rows come with it.
    """
    # Arrays throughout: they wrap around at 2^64 as they should, where scalars would warn.
    key = _mix(np.array([seed], dtype=np.uint64))
    key = _mix(key + _GAMMA * np.array([epoch + 1], dtype=np.uint64))  # (1,)
    keys = _mix(key + _GAMMA * (np.asarray(rows).astype(np.uint64) + np.uint64(1)))  # (B,)
    steps = _GAMMA * np.arange(1, count * width + 1, dtype=np.uint64)  # (count * T,)
    bits = _mix(keys[:, None] + steps)  # (B, count * T)
    numbers = (bits >> np.uint64(11)) * 2.0**-53  # the 53 bits that a float64 holds
    return torch.from_numpy(numbers.reshape(len(keys), count, width)).transpose(0, 1)


def _mix(x: np.ndarray) -> np.ndarray:
    """64 bits to 64 bits: changing one bit of `x` changes each bit of the result half the time."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
