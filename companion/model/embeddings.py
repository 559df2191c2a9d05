"""From token ids to vectors: what, where and in which text (chapter 4).

Devlin et al. 2019, section 3 and figure 2. Letters as in `companion.model`.
"""

import torch
from torch import Tensor, nn

from companion.errors import DataError
from companion.model.config import BertConfig
from companion.model.dropout import Dropout


class BertEmbeddings(nn.Module):
    """LayerNorm(token + position + segment), then dropout; three tables of learned rows."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        D = config.hidden_size  # noqa: N806
        self.word_embeddings = nn.Embedding(config.vocab_size, D, config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, D)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, D)
        self.LayerNorm = nn.LayerNorm(D, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Ids (..., T), int64 -> (..., T, D).

        Without `token_type_ids` every token belongs to segment 0; without `position_ids`
        the positions are 0 to T - 1. Raises DataError for an id outside its table.
        """
        if position_ids is None:
            position_ids = torch.arange(input_ids.size(-1), device=input_ids.device)
        try:
            words = self.word_embeddings(input_ids)
            positions = self.position_embeddings(position_ids)
            if token_type_ids is None:
                segments = self.token_type_embeddings.weight[0]
            else:
                segments = self.token_type_embeddings(token_type_ids)
        except IndexError as error:
            raise self._outside(input_ids, token_type_ids, position_ids) from error
        return self.dropout(self.LayerNorm(words + segments + positions))

    def _outside(
        self, input_ids: Tensor, token_type_ids: Tensor | None, position_ids: Tensor
    ) -> DataError:
        tables = {
            "input_ids": (input_ids, self.word_embeddings, "encode with this model's vocabulary"),
            "token_type_ids": (token_type_ids, self.token_type_embeddings, "number segments so"),
            "position_ids": (position_ids, self.position_embeddings, "truncate the text"),
        }
        found = [
            f"{name} run from {ids.min()} to {ids.max()}, but the table has the rows 0 to "
            f"{table.num_embeddings - 1}: {remedy}"
            for name, (ids, table, remedy) in tables.items()
            if ids is not None and (ids.min() < 0 or ids.max() >= table.num_embeddings)
        ]
        return DataError("; ".join(found) + ".")
