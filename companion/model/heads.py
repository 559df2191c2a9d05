"""BERT with a task on top: masked words, next sentence, classes (chapters 6, 7 and 10).

Devlin et al. 2019, sections 3.1 and 4.1. Letters as in `companion.model`.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from companion.errors import DataError
from companion.model.bert import BertModel
from companion.model.config import ACTIVATIONS, BertConfig
from companion.model.dropout import Dropout
from companion.model.pretrained import PretrainedModel

IGNORED = -100  # the label of a position that has none, as in PyTorch and Hugging Face


@dataclass
class HeadOutput:
    """What the heads compute; `hidden_states` and `attentions` as in `BertModel`."""

    loss: Tensor | None  # (), only with labels
    logits: Tensor  # (B, C), (B, T, V) or (M, V): see the class that returns it
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class PreTrainingOutput:
    """What `BertForPreTraining` computes, under Hugging Face's names."""

    loss: Tensor | None  # (), sum of the losses whose labels were given
    prediction_logits: Tensor  # (B, T, V) or (M, V)
    seq_relationship_logits: Tensor  # (B, 2): class 0, B continues A; class 1, it does not
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None

    @property
    def logits(self) -> Tensor:
        """The masked-word logits, so that every output of a head has `.loss` and `.logits`."""
        return self.prediction_logits


class PredictionTransform(nn.Module):
    """LayerNorm(GELU(W h + b)) before the vocabulary."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.LayerNorm(self.activation(self.dense(hidden_states)))


class MaskedWordHead(nn.Module):
    """A score for every word of the vocabulary: h . (row of the token table) + bias."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states: Tensor, token_table: Tensor) -> Tensor:
        """(..., D) and the token table (V, D), tied: no matrix of its own -> (..., V)."""
        return F.linear(self.transform(hidden_states), token_table, self.bias)


class PreTrainingHeads(nn.Module):
    """The heads of pretraining; without a pooled vector there is no next-sentence head."""

    def __init__(self, config: BertConfig, next_sentence: bool = True) -> None:
        super().__init__()
        self.predictions = MaskedWordHead(config)
        if next_sentence:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)

    def masked_words(
        self, hidden_states: Tensor, token_table: Tensor, labels: Tensor | None, masked_only: bool
    ) -> tuple[Tensor | None, Tensor]:
        """(B, T, D) and labels (B, T) -> mean loss over the labelled positions, logits."""
        if labels is None:
            return None, self.predictions(hidden_states, token_table)
        if labels.shape != hidden_states.shape[:2]:
            raise DataError(
                f"labels are {tuple(labels.shape)}, but input_ids are "
                f"{tuple(hidden_states.shape[:2])}: give one label a token, {IGNORED} for none."
            )
        if masked_only:
            # 85% of the positions have no label; their V scores are most of the head's work.
            labelled = labels != IGNORED  # (B, T)
            hidden_states, labels = hidden_states[labelled], labels[labelled]  # (M, D), (M,)
        logits = self.predictions(hidden_states, token_table)  # (M, V) or (B, T, V)
        # Sum over count, not the mean: a batch without any label has the loss 0, not NaN.
        total = F.cross_entropy(
            logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total / (labels != IGNORED).sum().clamp(min=1), logits


class BertForPreTraining(PretrainedModel):
    """Masked words and next sentence, the two objectives of BERT's pretraining."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = PreTrainingHeads(config)
        self.initialize_weights(self.cls)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        *,
        masked_only: bool = True,
        **outputs: Any,
    ) -> PreTrainingOutput:
        """As `BertForMaskedLM`, with `next_sentence_label` (B,): 0 follows, 1 is random."""
        body = self.bert(input_ids, attention_mask, token_type_ids, position_ids, **outputs)
        loss, words = self.cls.masked_words(
            body.last_hidden_state, self.bert.embeddings.word_embeddings.weight, labels, masked_only
        )
        follows = self.cls.seq_relationship(body.pooler_output)  # (B, 2)
        if next_sentence_label is not None:
            next_loss = F.cross_entropy(follows.float(), next_sentence_label)
            loss = next_loss if loss is None else loss + next_loss
        return PreTrainingOutput(loss, words, follows, body.hidden_states, body.attentions)


class BertForMaskedLM(PretrainedModel):
    """Masked words alone; like Hugging Face's class it has no pooler."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = PreTrainingHeads(config, next_sentence=False)
        self.initialize_weights(self.cls)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        masked_only: bool = True,
        **outputs: Any,
    ) -> HeadOutput:
        """Score the vocabulary at each position; the inputs are those of `BertModel`.

        `labels` (B, T) holds the id of the hidden word, -100 where nothing is asked. The loss is
        the mean cross-entropy over the M labelled positions, 0 if there are none.

        `logits` is (B, T, V) without labels. With labels only the M labelled positions are
        computed, (M, V) in the order of `labels[labels != -100]`; `masked_only=False`
        computes all (B, T, V) as Hugging Face's class does, at the same loss.
        """
        body = self.bert(input_ids, attention_mask, token_type_ids, position_ids, **outputs)
        loss, logits = self.cls.masked_words(
            body.last_hidden_state, self.bert.embeddings.word_embeddings.weight, labels, masked_only
        )
        return HeadOutput(loss, logits, body.hidden_states, body.attentions)


class BertForSequenceClassification(PretrainedModel):
    """One of C classes for the whole text, from the pooled first token."""

    new_parts = ("classifier", "pooler")

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config)
        rate = config.classifier_dropout
        self.dropout = Dropout(config.hidden_dropout_prob if rate is None else rate)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.initialize_weights(self.classifier)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **outputs: Any,
    ) -> HeadOutput:
        """Inputs as in `BertModel`; `labels` (B,), int64 -> mean cross-entropy, logits (B, C)."""
        body = self.bert(input_ids, attention_mask, token_type_ids, position_ids, **outputs)
        logits = self.classifier(self.dropout(body.pooler_output))  # (B, C)
        loss = None if labels is None else F.cross_entropy(logits.float(), labels)
        return HeadOutput(loss, logits, body.hidden_states, body.attentions)
