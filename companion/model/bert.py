"""BERT: embeddings, encoder, pooler (chapter 6; Devlin et al. 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from companion.model.config import BertConfig
from companion.model.embeddings import BertEmbeddings
from companion.model.encoder import BertEncoder
from companion.model.packing import Packing, check_mask, visible_tokens
from companion.model.pretrained import PretrainedModel


@dataclass
class BertOutput:
    """What `BertModel` computes. Values at padded positions mean nothing (see `BertModel`)."""

    last_hidden_state: Tensor  # (B, T, D)
    pooler_output: Tensor | None = None  # (B, D)
    hidden_states: tuple[Tensor, ...] | None = None  # embeddings and every layer, (B, T, D) each
    attentions: tuple[Tensor, ...] | None = None  # one a layer, (B, N, T, T), before dropout


def _is_recording() -> bool:
    # A graph for export must not depend on how many tokens of its example are real.
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


class BertPooler(nn.Module):
    """tanh(W h + b) on the first token, [CLS]: one vector for the whole text."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, D) -> (B, D)."""
        return torch.tanh(self.dense(hidden_states[:, 0]))


class BertModel(PretrainedModel):
    """The encoder without a task.

    One switch, `model.fast`, chooses between two paths that compute the same: True (the default)
    drops the padding and leaves hidden states of zero there; False runs the code of chapter 3
    on the whole (B, T, D) batch. Asking for attention weights takes the second path.
    """

    new_parts = ("pooler",)

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.initialize_weights(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> BertOutput:
        """Read a batch of token ids.

        Args:
            input_ids: (B, T), int64.
            attention_mask: (B, T), 1 for a real token and 0 for padding; None: all are real.
                A row that holds several documents numbers them 1, 2, ...: a token sees the
                tokens of its own document only (give `position_ids` that restart).
            token_type_ids: (B, T), segment of each token; None: all 0.
            position_ids: (B, T) or (1, T); None: 0 to T - 1.
            output_hidden_states, output_attentions: fill these fields of the result.

        Raises DataError for ids outside their tables and a mask of another shape.
        """
        check_mask(attention_mask, input_ids.shape)
        if self.fast and not output_attentions and not _is_recording():
            packing = Packing(input_ids, attention_mask)
            if position_ids is None:
                position_ids = torch.arange(input_ids.size(1), device=input_ids.device)
            embedded = self.embeddings(
                packing.pack(input_ids),
                None if token_type_ids is None else packing.pack(token_type_ids),
                packing.pack(position_ids),
            )  # (S, D)
            packed, attentions = self.encoder(embedded, packing, output_hidden_states)
            states = [packing.unpack(x) for x in packed]  # (B, T, D) each
        else:
            embedded = self.embeddings(input_ids, token_type_ids, position_ids)  # (B, T, D)
            visible = None if attention_mask is None else visible_tokens(attention_mask)
            states, attentions = self.encoder(
                embedded, visible, output_hidden_states, output_attentions
            )
        return BertOutput(
            last_hidden_state=states[-1],
            pooler_output=None if self.pooler is None else self.pooler(states[-1]),
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
