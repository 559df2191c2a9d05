"""Attention: every token looks at every other and takes a weighted mean (chapter 3).

Vaswani et al. 2017, "Attention Is All You Need", section 3.2. Letters as in `companion.model`.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from companion.model.config import BertConfig
from companion.model.dropout import Dropout, dropout
from companion.model.packing import Packing


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(H)) V, equation 1 of Vaswani et al. 2017.

    Args:
        query: (..., T, H), float; what each token asks for.
        key: (..., K, H); what each token offers to be found by. K may differ from T.
        value: (..., K, any width); what each token hands over.
        mask: bool or 0/1, broadcastable to (..., T, K); True where a query may see a key.
        dropout_p: share of the weights set to zero for the context (training only).

    Returns:
        context (..., T, value width), and weights (..., T, K) before dropout. Each row of
        weights sums to one; a row whose mask is False everywhere is all zeros, and so is
        its context, never NaN.
    """
    # Dividing the T x H queries is the same as dividing the T x K scores, and cheaper.
    scores = query / math.sqrt(query.size(-1)) @ key.transpose(-2, -1)  # (..., T, K)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        hidden = ~mask.bool()
        # The lowest number instead of -inf: a row of nothing but -inf would be 0/0 = NaN.
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1).masked_fill(hidden, 0.0)
    return dropout(weights, dropout_p) @ value, weights


def split_heads(states: Tensor, num_heads: int) -> Tensor:
    """(B, T, D) -> (B, N, T, H): the width is cut into N heads, no number is computed."""
    B, T, D = states.shape  # noqa: N806
    return states.view(B, T, num_heads, D // num_heads).transpose(1, 2)


def merge_heads(context: Tensor) -> Tensor:
    """(B, N, T, H) -> (B, T, D): the inverse of `split_heads`."""
    return context.transpose(1, 2).flatten(2)


def packed_attention(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, num_heads: int, dropout_p: float
) -> Tensor:
    """The same attention on the S real tokens of a batch, one sequence after the other.

    Three times (S, D) -> (S, D). No padding is computed and no mask is needed.
    """
    if query.is_cuda and len(packing.blocks) > 1:
        return nested_attention(query, key, value, packing, num_heads, dropout_p)
    sizes = [count * length for count, length in packing.blocks]
    contexts = []
    for (count, length), *qkv in zip(
        packing.blocks, query.split(sizes), key.split(sizes), value.split(sizes), strict=True
    ):
        q, k, v = (split_heads(x.view(count, length, -1), num_heads) for x in qkv)
        # On a CPU PyTorch's fused kernel is the faster one for float32 without dropout only.
        if q.device.type == "cpu" and (dropout_p > 0 or q.dtype != torch.float32):
            context, _ = scaled_dot_product_attention(q, k, v, dropout_p=dropout_p)
        else:
            context = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p)
        contexts.append(merge_heads(context).flatten(0, 1))  # (count * length, D)
    return torch.cat(contexts) if contexts else value  # (S, D); S may be 0


def nested_attention(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, num_heads: int, dropout_p: float
) -> Tensor:
    """As `packed_attention`, in one call of the fused kernel for sequences of any lengths."""
    offsets = torch.tensor([0, *packing.lengths], device=query.device).cumsum(0)

    def nest(x: Tensor) -> Tensor:  # (S, D) -> (sequences, N, length of each, H)
        return torch.nested.nested_tensor_from_jagged(
            x.unflatten(-1, (num_heads, -1)),  # (S, N, H)
            offsets,
            min_seqlen=packing.lengths[0],
            max_seqlen=packing.lengths[-1],
        ).transpose(1, 2)

    context = F.scaled_dot_product_attention(
        nest(query), nest(key), nest(value), dropout_p=dropout_p
    )
    return context.transpose(1, 2).values().flatten(1)  # (S, D)


class MultiHeadAttention(nn.Module):
    """N attentions side by side, each on its own H of the D coordinates (section 3.2.2).

    The projections of all heads are one (D, D) matrix each, as in every BERT checkpoint.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout_p = config.attention_probs_dropout_prob

    def forward(
        self, hidden_states: Tensor, mask: Tensor | Packing | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) and a mask (B, 1, T, T) -> context (B, T, D), weights (B, N, T, T).

        With a Packing the states are (S, D), the context too, and the weights are None.
        """
        query, key, value = (
            projection(hidden_states) for projection in (self.query, self.key, self.value)
        )
        dropout_p = self.dropout_p if self.training else 0.0
        if isinstance(mask, Packing):
            return packed_attention(query, key, value, mask, self.num_heads, dropout_p), None
        query, key, value = (split_heads(x, self.num_heads) for x in (query, key, value))
        context, weights = scaled_dot_product_attention(query, key, value, mask, dropout_p)
        return merge_heads(context), weights


class AddAndNorm(nn.Module):
    """LayerNorm(x + Dropout(W y + b)): the residual connection after each block (post-LN)."""

    def __init__(self, config: BertConfig, input_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, block_output: Tensor, block_input: Tensor) -> Tensor:
        """(..., input_size) and (..., D) -> (..., D)."""
        return self.LayerNorm(block_input + self.dropout(self.dense(block_output)))
