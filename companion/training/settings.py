"""The knobs of a run, with defaults that train a small BERT without tuning (chapter 10)."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch

from companion.errors import SettingsError

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of `train`; each is a name that the field uses.

    Raises:
        SettingsError: a value lies outside its range.
    """

    epochs: int = 3  # passes over the training data
    max_steps: int | None = None  # stop after so many updates, whatever `epochs` says
    batch_size: int = 32  # examples per update, over all devices and pieces
    gradient_accumulation_steps: int = 1  # pieces that a batch is cut into
    learning_rate: float = 5e-5  # peak
    warmup_ratio: float = 0.1  # share of all updates in which the rate rises
    decay_ratio: float | None = None  # ... in which it falls; None is all that are left, 0 is none
    weight_decay: float = 0.01  # on matrices, not on biases and norms
    layer_decay: float | None = None  # factor on the rate from each layer to the one below
    max_grad_norm: float = 1.0  # over all parameters together
    average_weights: float | Literal["auto"] | None = None  # decay; "auto" spans a tenth of the run
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = 42
    eval_steps: int | None = None  # updates between evaluations; None is once an epoch
    early_stopping_patience: int | None = None  # evaluations without a gain; None never stops
    best_metric: str = "dev_accuracy"  # decides which weights are kept; "..._loss" is minimised
    save_steps: int | None = None  # updates between checkpoints; None is after each evaluation
    save_minutes: float = 10.0  # ... and whenever so much time has passed since the last one

    def __post_init__(self) -> None:
        at_least = {"epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 1}
        for name in ("max_steps", "eval_steps", "save_steps", "early_stopping_patience"):
            if getattr(self, name) is not None:
                at_least[name] = 1
        for name, low in at_least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise SettingsError(f"{name} is {value}; it must be a whole number from {low} up.")
        if self.gradient_accumulation_steps > self.batch_size:
            raise SettingsError(
                f"gradient_accumulation_steps ({self.gradient_accumulation_steps}) cuts a batch of "
                f"{self.batch_size} into empty pieces; it must not exceed batch_size."
            )
        if not 0 < self.learning_rate < 1:
            raise SettingsError(
                f"learning_rate is {self.learning_rate}; it must lie between 0 and 1 "
                "(1e-5 to 1e-3 is usual for BERT)."
            )
        if not 0 <= self.warmup_ratio < 1:
            raise SettingsError(
                f"warmup_ratio is {self.warmup_ratio}; it is a share of the run, from 0 up to "
                "but not including 1."
            )
        if self.decay_ratio is not None and not 0 <= self.decay_ratio <= 1 - self.warmup_ratio:
            raise SettingsError(
                f"decay_ratio is {self.decay_ratio}; it is a share of the run, from 0 up to what "
                f"the warm-up of {self.warmup_ratio:g} leaves."
            )
        if self.weight_decay < 0 or self.max_grad_norm <= 0:
            raise SettingsError("weight_decay must be 0 or more and max_grad_norm above 0.")
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise SettingsError(
                f"layer_decay is {self.layer_decay}; it is the factor from a layer's rate to that "
                "of the layer below, above 0 and at most 1 (0.8 to 0.95 is usual)."
            )
        decay = self.average_weights
        if decay not in (None, "auto") and not (isinstance(decay, float) and 0 < decay < 1):
            raise SettingsError(
                f'average_weights is {decay!r}; it is "auto" or the decay of the average, between '
                "0 and 1 (such as 0.99; the nearer to 1, the further it looks back)."
            )
        if self.precision not in ("auto", "fp32", "bf16", "fp16"):
            raise SettingsError(f'precision is "{self.precision}"; use auto, fp32, bf16 or fp16.')

    def identity(self) -> dict[str, Any]:
        """The settings that decide the result, for comparing a resumed run with its start."""
        return {k: v for k, v in asdict(self).items() if k not in ("save_steps", "save_minutes")}

    @classmethod
    def names(cls) -> set[str]:
        """The names of all settings."""
        return {f.name for f in fields(cls)}


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The number format of the forward and backward pass on a device.

    `auto` is bf16 where the hardware multiplies it natively (CPUs too), fp16 with loss
    scaling on older GPUs, and fp32 elsewhere. Weights and optimiser stay fp32 in any case.

    Raises:
        SettingsError: fp16 was asked for on a device without loss scaling.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise SettingsError(
            f"precision is fp16, but the device is {device.type}: fp16 needs a GPU. "
            "Use bf16 or fp32 (or leave it at auto)."
        )
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "fp32"


def _cpu_has_bf16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "AVX512" in capabilities and bool(has() or amx())
