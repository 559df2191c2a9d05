"""New weights for the highest layers of a pretrained encoder (chapter 13)."""

import torch
from torch import nn

from companion.errors import SettingsError
from companion.training.layers import encoder_layers

BERT_STD = 0.02  # of the weights of a fresh BERT


def reinit_layers(model: nn.Module, layers: int, *, seed: int = 42) -> None:
    """Draw the highest `layers` of an encoder anew, and the pooler above them, in place.

    The highest layers of a pretrained encoder are specialised in guessing masked words; with few
    labels a fresh start can be better than theirs. Matrices are drawn from N(0, std) with the std
    of the model's pretraining, biases are 0 and the gains of norms 1, as in a fresh BERT.

    Source: Zhang et al. 2021, Revisiting Few-sample BERT Fine-tuning, section 5.

    Args:
        model: a classifier with its layers in `encoder.layer`.
        layers: how many; 0 leaves even the pooler as it is.
        seed: decides the weights.

    Raises:
        SettingsError: there are fewer layers, or they are not where BERT has them.
    """
    if not layers:
        return
    found = encoder_layers(model)
    if layers > len(found):
        raise SettingsError(
            f"reinit_layers is {layers}, but the model has {len(found)} layers. Give a smaller "
            'number; for a model of random weights throughout, train "mini".'
        )
    std = getattr(getattr(model, "config", None), "initializer_range", BERT_STD)
    generator = torch.Generator().manual_seed(seed)
    poolers = [m for name, m in model.named_modules() if name.split(".")[-1] == "pooler"]
    for part in (*found[len(found) - layers :], *poolers):
        for module in part.modules():
            _draw(module, std, generator)


@torch.no_grad()
def _draw(module: nn.Module, std: float, generator: torch.Generator) -> None:
    """The own weights of one module; those of its parts are theirs."""
    own = dict(module.named_parameters(recurse=False))
    for name, weight in own.items():
        if name == "bias":
            weight.zero_()
        elif weight.ndim == 1 and name == "weight":
            weight.fill_(1.0)
        elif weight.ndim == 2:
            weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))
        else:
            raise SettingsError(
                f"reinit_layers does not know how {type(module).__name__} starts, whose {name} "
                f"has the shape {tuple(weight.shape)}. Leave it out for this model."
            )
