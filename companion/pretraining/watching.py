"""What is looked at while a run goes on: held-out loss, speed, share of the peak (chapter 8)."""

import sys
import time

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import nn
from tqdm.auto import tqdm

from companion.pretraining.batches import MaskedBatches
from companion.pretraining.held_out import HeldOut


class Watch:
    """The evaluation of a run: scores, and the speed since the evaluation before.

    Args:
        held_out: see there.
        batches: counts the tokens that are read.
        flops_per_token: see `companion.pretraining.speed`.
        peak: FLOP/s of all devices together.
        shown: print a line each time, above the progress bar.
    """

    def __init__(
        self,
        held_out: HeldOut,
        batches: MaskedBatches,
        flops_per_token: float,
        peak: float,
        shown: bool,
    ) -> None:
        self.held_out, self.batches = held_out, batches
        self.share_per_token = flops_per_token / peak
        self.shown = shown and PartialState().is_main_process
        self._restart()

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The scores of `HeldOut`, `tokens_per_second`, and `mfu`, a share of the peak."""
        seconds = time.monotonic() - self.since
        read = torch.tensor(float(self.batches.read - self.read)).to(PartialState().device)
        speed = float(reduce(read, "sum")) / seconds
        scores = self.held_out(model)
        if self.shown:
            tqdm.write(_line(scores, speed, speed * self.share_per_token), file=sys.stderr)
        self._restart()
        return scores | {"tokens_per_second": speed, "mfu": speed * self.share_per_token}

    def _restart(self) -> None:
        self.read, self.since = self.batches.read, time.monotonic()


def _line(scores: dict[str, float], speed: float, share: float) -> str:
    def shown(kind: str, form: str) -> str:
        parts = [
            f"{name.removeprefix(f'dev_{kind}_')} {value:{form}}"
            for name, value in scores.items()
            if name.startswith(f"dev_{kind}_")
        ]
        return f"{scores[f'dev_{kind}']:{form}}" + (f" ({', '.join(parts)})" if parts else "")

    return (
        f"held out: loss {shown('loss', '.3f')}, hidden tokens found {shown('accuracy', '.1%')}; "
        f"{speed:,.0f} tokens/s, {share:.0%} of the measured peak"
    )
