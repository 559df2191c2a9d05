"""Two objectives beside masking: replaced tokens, and the next token (chapter 7).

Clark et al. 2020 (ELECTRA), section 2: a small generator fills masks in, and the model says of
every token whether it was replaced. Radford et al. 2018 (GPT), section 3.1: each token is
predicted from those before it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from companion.model import BertConfig, BertForMaskedLM, BertModel
from companion.pretraining.masking import IGNORED


@dataclass
class ContrastOutput:
    """What both models here compute: what the training loop reads, and the parts of the loss."""

    loss: Tensor  # ()
    logits: Tensor  # (B, T) or (M, V): see the model
    parts: dict[str, Tensor]  # each (), detached


def sample_tokens(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an id from softmax(logits): (M, V) -> (M,), int64 (ELECTRA, section 2).

    The largest of logits + Gumbel noise is distributed so; no sum over V is needed.
    """
    noise = torch.empty_like(logits, dtype=torch.float32)
    noise.exponential_(generator=generator)  # -log of it is Gumbel noise
    return (logits.float() - noise.log()).argmax(dim=-1)


def replace_tokens(
    masked_ids: Tensor, labels: Tensor, sampled: Tensor, attention_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """What the discriminator reads, and its answers (ELECTRA, section 2, equations for x^corrupt).

    Args:
        masked_ids: (B, T), int64, what the generator read.
        labels: (B, T), int64; the true ids at the M masked positions, -100 elsewhere.
        sampled: (M,), int64; what the generator put there, in the order of
            `labels[labels != -100]`.
        attention_mask: (B, T); 0 is padding.

    Returns the corrupted ids, (B, T), and labels (B, T), int64: 1 replaced, 0 original, -100 for
    padding. Where the generator hit the true token, it counts as original.
    """
    asked = labels != IGNORED
    corrupted = masked_ids.clone()
    corrupted[asked] = sampled
    replaced = (asked & (corrupted != labels)).long()
    return corrupted, replaced.masked_fill(attention_mask == 0, IGNORED)


def next_tokens(input_ids: Tensor, documents: Tensor) -> Tensor:
    """The labels of causal prediction: at each token the id of the next one of its document.

    Args:
        input_ids: (B, T), int64.
        documents: (B, T): 1, 2, ... and 0 for padding.

    Returns (B, T), int64, with -100 at the last token of a document and at padding.
    """
    labels = torch.full_like(input_ids, IGNORED)
    same = (documents[:, 1:] == documents[:, :-1]) & (documents[:, :-1] != 0)
    labels[:, :-1][same] = input_ids[:, 1:][same]
    return labels


def causal_visibility(documents: Tensor) -> Tensor:
    """(B, T) -> (B, 1, T, T), bool: a token sees itself and what stands before it in its document.

    The mask of Vaswani et al. 2017, section 3.2.3, in each document of a packed row.
    """
    T = documents.size(1)  # noqa: N806
    same = documents[:, None, :, None] == documents[:, None, None, :]  # (B, 1, T, T)
    return same.tril() & (documents != 0)[:, None, None, :].expand(-1, 1, T, T)


class CausalPrediction(nn.Module):
    """A `BertForMaskedLM` that may look to the left only and predicts the next token.

    Called with a batch of the same names; `labels` are those of `next_tokens`. `logits` are
    (M, V), of the labelled positions.
    """

    def __init__(self, model: BertForMaskedLM) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, labels: Tensor
    ) -> ContrastOutput:
        """All (B, T), int64; `attention_mask` holds document numbers."""
        body, table = self.model.bert, self.model.bert.embeddings.word_embeddings.weight
        embedded = body.embeddings(input_ids, None, position_ids)  # (B, T, D)
        states, _ = body.encoder(embedded, causal_visibility(attention_mask))
        loss, logits = self.model.cls.masked_words(states[-1], table, labels, True)
        assert loss is not None
        return ContrastOutput(loss, logits, {"next token": loss.detach()})


class ReplacedTokenDetection(nn.Module):
    """Generator and discriminator, trained together (ELECTRA, section 2).

    The loss is that of the generator's masked words plus 50 times that of the discriminator
    (section 3.1 and appendix A); no gradient flows through the sampling. Token, position and
    segment tables are shared (section 3.2), so both have one width; the generator has fewer
    layers.

    Args:
        config: of the discriminator, the model that is kept, `self.discriminator`.
        generator_layers: of the generator.
        weight: of the discriminator's loss.
    """

    def __init__(self, config: BertConfig, generator_layers: int = 1, weight: float = 50.0) -> None:
        super().__init__()
        small = {**vars(config), "num_hidden_layers": generator_layers}
        self.generator = BertForMaskedLM(BertConfig(**small))
        self.discriminator = BertModel(config, add_pooling_layer=False)
        self.discriminator.embeddings = self.generator.bert.embeddings
        self.head = nn.Linear(config.hidden_size, 1)
        self.weight = weight

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, labels: Tensor
    ) -> ContrastOutput:
        """A batch of masked language modelling, all (B, T), int64 -> scores of "replaced", (B, T).

        `attention_mask` holds document numbers.
        """
        filled = self.generator(input_ids, attention_mask, None, position_ids, labels)
        with torch.no_grad():
            sampled = sample_tokens(filled.logits)  # (M,)
            ids, replaced = replace_tokens(input_ids, labels, sampled, attention_mask)
        states = self.discriminator(ids, attention_mask, None, position_ids).last_hidden_state
        scores = self.head(states).squeeze(-1)  # (B, T)
        real = replaced != IGNORED
        found = F.binary_cross_entropy_with_logits(
            scores[real].float(), replaced[real].to(torch.float32)
        )
        parts = {"generator": filled.loss.detach(), "discriminator": found.detach()}
        return ContrastOutput(filled.loss + self.weight * found, scores, parts)
