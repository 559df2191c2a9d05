"""Batches without padding: only the real tokens, one sequence after the other (chapter 14).

Everything in BERT but attention treats each token alone, so it can run on the S real tokens
of a batch as one (S, D) matrix. Only attention needs to know where a sequence ends.
"""

from itertools import groupby

import torch
from torch import Tensor

from companion.errors import DataError

# On a CPU sequences of one length are computed together up to this many tokens: enough work for one
# call, while the T x T weights of all of them never lie in memory at once.
BLOCK_TOKENS = 1024


class Packing:
    """Where the real tokens of a (B, T) batch stand, and which of them see one another.

    `attention_mask` is (B, T): 0 is padding. Every other number is a document of the row, and a
    token sees the tokens with its own number; an ordinary mask is the case of one document.

    Attributes: `lengths`, the tokens of each sequence, ascending; `blocks`, runs of equal length
    as (count, length), on a CPU of at most BLOCK_TOKENS.
    """

    def __init__(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> None:
        self.shape = B, T = input_ids.shape  # noqa: N806
        if attention_mask is None or bool((attention_mask == 1).all()):
            self.tokens = None  # every position is real: packing is a reshape
            self.lengths = [T] * B
        else:
            flat = attention_mask.long().flatten()  # (B*T,)
            rows = torch.arange(B, device=flat.device).repeat_interleave(T)
            real = flat.nonzero().squeeze(1)  # (S,)
            _, sequence, lengths = torch.unique(
                (rows * (flat.max() + 1) + flat)[real], return_inverse=True, return_counts=True
            )
            by_length = torch.argsort(lengths[sequence] * len(lengths) + sequence, stable=True)
            self.tokens = real[by_length]  # (S,): index into the flattened batch
            self.lengths = lengths.sort().values.tolist()
        limit = BLOCK_TOKENS if input_ids.device.type == "cpu" else input_ids.numel()
        self.blocks = []
        for length, group in groupby(self.lengths):
            count, step = len(list(group)), max(1, limit // length)
            self.blocks += [(min(step, count - i), length) for i in range(0, count, step)]

    def pack(self, ids: Tensor) -> Tensor:
        """(B, T) -> (S,): the real tokens, sequences in ascending length."""
        ids = ids.expand(self.shape).flatten()
        return ids if self.tokens is None else ids[self.tokens]

    def unpack(self, states: Tensor) -> Tensor:
        """(S, D) -> (B, T, D), with zeros where there is padding."""
        B, T = self.shape  # noqa: N806
        if self.tokens is not None:
            padded = states.new_zeros(B * T, states.size(-1))
            states = padded.index_copy(0, self.tokens, states)
        return states.view(B, T, -1)


def visible_tokens(attention_mask: Tensor) -> Tensor:
    """(B, T) mask -> (B, 1, T, T) bool: may token i (third axis) see token j (last axis)?

    A padding token is seen by none. It sees every real one itself, as in Hugging Face's BERT;
    what it computes means nothing.
    """
    seer, seen = attention_mask[:, None, :, None], attention_mask[:, None, None, :]
    return (seen != 0) & ((seer == seen) | (seer == 0))  # (B, 1, T, T)


def check_mask(attention_mask: Tensor | None, shape: torch.Size) -> None:
    """Raise DataError unless the mask is absent or of the shape of the ids."""
    if attention_mask is not None and attention_mask.shape != shape:
        raise DataError(
            f"attention_mask is {tuple(attention_mask.shape)}, but input_ids are {tuple(shape)}: "
            "give one number a token, 1 for a real one and 0 for padding."
        )
