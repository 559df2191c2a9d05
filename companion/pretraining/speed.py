"""How fast a run is, and how fast the hardware could be (chapter 8).

The share of the hardware's peak (model FLOPs utilisation, MFU; Chowdhery et al. 2022, appendix B)
divides the arithmetic that the model needs by what the device can do. Both numbers are made
here: the first by formula, the second by measuring matrix products, not from a data sheet.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from companion.model import BertConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def flops_per_token(config: BertConfig, mask_rate: float, attended: float) -> float:
    """Floating-point operations of one token's update, forward and backward, by formula.

    6 for each weight that multiplies a token (2 forward, 4 backward; Kaplan et al. 2020, section
    2.1): the matrices of the layers, and the word head at the masked share of the tokens only.
    For attention 12 * layers * D * `attended`. Not counted: looking up embeddings, softmax,
    layer norms, GELU, biases, dropout, the optimiser.

    Args:
        config: sizes of the model.
        mask_rate: share of the tokens that goes through the word head.
        attended: tokens that a token sees, on average.
    """
    D, V = config.hidden_size, config.vocab_size  # noqa: N806
    layers = config.num_hidden_layers
    in_layers = layers * (4 * D * D + 2 * D * config.intermediate_size)
    in_head = mask_rate * (D * D + V * D)
    return 6 * (in_layers + in_head) + 12 * layers * D * attended


def tokens_attended(documents: Tensor) -> float:
    """Tokens that a token of the rows sees on average: the sum of squared lengths by tokens.

    Args:
        documents: (B, T), 1, 2, ... in each row and 0 for padding.
    """
    seen = (documents[:, :, None] == documents[:, None, :]).sum(2)  # (B, T)
    return float(seen[documents != 0].float().mean())


def measure_peak(device: torch.device, precision: str, seconds: float = 1.0) -> float:
    """FLOP/s of large matrix products on a device, in a number format: the best of several.

    On a CPU with as many threads as PyTorch uses. Takes about `seconds`.
    """
    size = 8192 if device.type == "cuda" else 1024
    dtype = DTYPES[precision]
    one, two = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    shortest = float("inf")
    ends = time.monotonic() + seconds
    count = 0
    while count < 3 or time.monotonic() < ends:
        count += 1
        elapsed = timed(lambda: torch.mm(one, two), device)
        shortest = min(shortest, elapsed)
    return 2 * size**3 / shortest


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds until `work` is done, on the device too."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
