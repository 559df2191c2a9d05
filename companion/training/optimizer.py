"""AdamW with the right parameter groups, and the linear schedule with warm-up (chapter 10)."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from companion.training.layers import layer_depths
from companion.training.settings import TrainSettings


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: matrices, which decay, and biases and norms, which do not.

    Decay pulls a weight towards zero. For a matrix that is a preference for simple
    functions; for a norm's gain (which starts at one) or a bias it only works against the
    layer. Every parameter of one dimension belongs to the second kind.

    Source: Devlin et al. 2019, appendix A.2, and the exclusion list of its published code.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]


def groups_by_layer(model: nn.Module, weight_decay: float, layer_decay: float) -> list[dict]:
    """The groups of `parameter_groups`, each cut by depth, with a "rate_factor" of its own.

    The rate of a parameter at depth d, counted from the top (see `layer_depths`), is
    rate * layer_decay^d. Lower layers hold what is true of language in general, and should
    move less. Head and pooler have the full rate, the embeddings of a model of L layers
    layer_decay^(L + 1).

    Source: Howard & Ruder 2018, section 3.2 (discriminative fine-tuning); Clark et al. 2020,
    appendix B. ELECTRA's published code skips one power between its head and its highest layer;
    here there is no gap.

    Raises:
        SettingsError: the model has no list of layers by BERT's name.
    """
    depths = layer_depths(model)
    return [
        {**group, "params": members, "rate_factor": layer_decay**depth}
        for group in parameter_groups(model, weight_decay)
        for depth in sorted(set(depths.values()))
        if (members := [p for p in group["params"] if depths[p] == depth])
    ]


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float, layer_decay: float | None = None
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2) in one fused kernel per device."""
    if layer_decay is None:
        groups = [g for g in parameter_groups(model, weight_decay) if g["params"]]
    else:
        groups = groups_by_layer(model, weight_decay, layer_decay)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True)


def linear_warmup_decay(
    step: int, total_steps: int, warmup_steps: int, decay_steps: int | None = None
) -> float:
    """The factor on the peak learning rate at update number `step` (the first is 0).

    Rises from 1/warmup_steps to 1 over the warm-up, and over the last `decay_steps` falls in a
    straight line that would reach 0 one update after the last, so that no update is wasted on a
    rate of zero. Between the two it is 1. Without `decay_steps` it falls from the warm-up on
    (Devlin et al. 2019, appendix A.2); with fewer it is a trapezoid (Hägele et al. 2024,
    https://arxiv.org/abs/2405.18392); with 0 it stays, so that the run can be continued.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if decay_steps is None:
        decay_steps = total_steps - warmup_steps
    return max(0.0, min(1.0, (total_steps - step) / max(1, decay_steps)))


def scheduled_rate(step: int, total_steps: int, settings: TrainSettings) -> float:
    """The learning rate of update number `step` (the first is 0) of a run with these settings."""
    warmup, decay = settings.warmup_ratio, settings.decay_ratio
    return settings.learning_rate * linear_warmup_decay(
        step,
        total_steps,
        math.ceil(warmup * total_steps),
        None if decay is None else math.ceil(decay * total_steps),
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group this rate, times its own factor if it has one, for the next update."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("rate_factor", 1.0)


def optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """The optimiser's state as "parameter/moment": tensor, for a checkpoint."""
    return {
        f"{name}/{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, moment = key.rpartition("/")
        parameter = parameters[name]
        optimizer.state[parameter][moment] = value.to(parameter.device)
