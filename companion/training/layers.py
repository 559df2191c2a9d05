"""How deep each parameter of an encoder lies, for a rate of its own per layer (chapter 13)."""

from torch import nn

from companion.errors import SettingsError


def encoder_layers(model: nn.Module) -> nn.ModuleList:
    """The layers of an encoder, the lowest first: what BERT's names call `encoder.layer`.

    Raises:
        SettingsError: the model has no such list, or several.
    """
    found = [
        module
        for name, module in model.named_modules()
        if f".{name}".endswith(".encoder.layer") and isinstance(module, nn.ModuleList)
    ]
    if len(found) != 1:
        raise SettingsError(
            f"layer_decay and reinit_layers need one encoder whose layers stand in "
            f"`encoder.layer`, as in BERT, RoBERTa or ELECTRA; {type(model).__name__} has "
            f"{len(found)}. Leave them out for this model."
        )
    return found[0]


def layer_depths(model: nn.Module) -> dict[nn.Parameter, int]:
    """How many layers lie above each parameter, itself included.

    Of L layers the highest has depth 1 and the lowest L. Embeddings, which is every other
    parameter with "embeddings" in its name, have L + 1. What is left, pooler and head, has 0.

    Raises:
        SettingsError: as `encoder_layers`.
    """
    layers = encoder_layers(model)
    depths = {
        parameter: len(layers) + 1 if "embeddings" in name else 0
        for name, parameter in model.named_parameters()
    }
    for i, layer in enumerate(layers):
        depths |= dict.fromkeys(layer.parameters(), len(layers) - i)
    return depths
