"""Pairs of models with the same random weights: Hugging Face's and the book's."""

from dataclasses import replace

import torch
import transformers
from torch import Tensor, nn

from companion.model import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
)

KINDS = {
    "BertModel": BertModel,
    "BertForPreTraining": BertForPreTraining,
    "BertForMaskedLM": BertForMaskedLM,
    "BertForSequenceClassification": BertForSequenceClassification,
}
# Five shapes that share no size, so that no transposed or mixed-up axis goes unseen.
CONFIGS = {
    "one head": BertConfig(61, 16, 1, 1, 40, type_vocab_size=1),
    "three heads": BertConfig(97, 48, 2, 3, 80, num_labels=5),
    "deep": BertConfig(53, 24, 4, 4, 96, layer_norm_eps=1e-5, type_vocab_size=3),
    "relu, padding id 3": BertConfig(71, 32, 2, 2, 33, hidden_act="relu", pad_token_id=3),
    "wide heads": BertConfig(128, 128, 2, 2, 64, hidden_act="gelu_new", num_labels=3),
}
CONFIGS = {
    name: replace(config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    for name, config in CONFIGS.items()
}


def pair(
    config: BertConfig, kind: str = "BertModel", attention: str = "eager", seed: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Hugging Face's model and ours, in train mode, with equal weights, no weight at zero."""
    torch.manual_seed(seed)
    theirs = getattr(transformers, kind)(transformers.BertConfig(**config.to_dict()))
    theirs.set_attn_implementation(attention)
    with torch.no_grad():
        for parameter in theirs.parameters():  # biases and layer norms too start elsewhere
            parameter.add_(torch.randn_like(parameter) * 0.1)
    ours = KINDS[kind](config)
    # The decoder is the token table itself in both; only theirs also lists it by a name.
    state = {k: v for k, v in theirs.state_dict().items() if ".decoder." not in k}
    ours.load_state_dict(state)
    ours.fast = attention == "sdpa"
    return theirs.train(), ours.train()


def inputs(config: BertConfig, lengths: list[int], seed: int = 0) -> dict[str, Tensor]:
    """A batch with padding behind each text and segments, padded to the longest."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    positions = torch.arange(shape[1])
    mask = (positions < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(0, config.vocab_size, shape, generator=generator)
    segments = torch.randint(0, config.type_vocab_size, shape, generator=generator)
    return {
        "input_ids": torch.where(mask == 1, ids, config.pad_token_id),
        "attention_mask": mask,
        "token_type_ids": segments * mask,
    }


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradient of every parameter by name; zeros where there is none."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
