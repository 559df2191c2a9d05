"""The encoder: attention and feed-forward blocks, stacked (chapter 4).

Vaswani et al. 2017, sections 3.1 and 3.3, with BERT's GELU. Attribute names are the parameter
names of every BERT checkpoint, such as `layer.0.attention.self.query.weight`.
"""

from torch import Tensor, nn

from companion.model.attention import AddAndNorm, MultiHeadAttention
from companion.model.config import ACTIVATIONS, BertConfig
from companion.model.packing import Packing

Mask = Tensor | Packing | None


class BertAttention(nn.Module):
    """Multi-head attention with its output projection, residual and layer norm."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = MultiHeadAttention(config)
        self.output = AddAndNorm(config, config.hidden_size)

    def forward(self, hidden_states: Tensor, mask: Mask) -> tuple[Tensor, Tensor | None]:
        """(..., D) -> (..., D) and the attention weights, if the path computes them."""
        context, weights = self.self(hidden_states, mask)
        return self.output(context, hidden_states), weights


class BertIntermediate(nn.Module):
    """The first half of the feed-forward block: GELU(W x + b), wider than D."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) -> (..., intermediate_size)."""
        return self.activation(self.dense(hidden_states))


class BertLayer(nn.Module):
    """One layer: tokens exchange information (attention), then each is worked on alone."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = AddAndNorm(config, config.intermediate_size)

    def forward(self, hidden_states: Tensor, mask: Mask) -> tuple[Tensor, Tensor | None]:
        """(..., D) -> (..., D) and the attention weights, if the path computes them."""
        hidden_states, weights = self.attention(hidden_states, mask)
        return self.output(self.intermediate(hidden_states), hidden_states), weights


class BertEncoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self,
        hidden_states: Tensor,
        mask: Mask = None,
        keep_states: bool = False,
        keep_weights: bool = False,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """(..., D) -> states, attention weights.

        The states are those after the last layer, or with `keep_states` the input and those
        after every layer; the weights are of every layer, or none without `keep_weights`.
        """
        states: list[Tensor] = [hidden_states]
        attentions: list[Tensor] = []
        for layer in self.layer:
            hidden_states, weights = layer(states[-1], mask)
            states = [*states, hidden_states] if keep_states else [hidden_states]
            if keep_weights and weights is not None:
                attentions.append(weights)
        return states, attentions
