"""How many updates fit into the given minutes (chapter 8).

The learning rate falls to zero at the end of a run, so the end must be known at the start: a few
updates are made on a copy of the model and thrown away, and from their speed the number of
updates is fixed. It is written down, and a resumed run keeps it.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate.utils import broadcast_object_list
from torch import nn

from companion.errors import SettingsError
from companion.training import BatchSource, TrainSettings, train

SHARE, MOST_SECONDS = 0.04, 20.0  # of the box for measuring
EVALUATION_SHARE, MOST_EVALUATIONS = 0.08, 20
SPARE = 0.03  # of the box, for a neighbour who takes some of the machine


@dataclass(frozen=True)
class Pace:
    """Seconds of an update, and of an evaluation with the checkpoint that follows it."""

    update: float
    evaluation: float


def measure_pace(
    model: nn.Module,
    batches: BatchSource,
    settings: TrainSettings,
    evaluate: Callable[[nn.Module], dict[str, float]],
    scratch: Path,
    seconds: float,
) -> Pace:
    """Train a copy of `model` for about `seconds`; all processes get the same answer.

    `scratch` is a folder for its checkpoint, which the caller removes.
    """
    first = _train_copy(model, batches, settings, evaluate, scratch / "first", 2)
    steps = max(3, min(50, int(seconds / first.update)))
    return _train_copy(model, batches, settings, evaluate, scratch / "second", steps)


def fit_steps(minutes: float, spent: float, pace: Pace) -> tuple[int, int]:
    """Updates that fit into a box, and the updates from one evaluation to the next.

    Args:
        minutes: the box.
        spent: seconds of it that are gone.
        pace: see `measure_pace`.

    Raises SettingsError when not even one update fits.
    """
    left = 60 * minutes * (1 - SPARE) - spent
    # Their share of the box, but never so much that no update fits beside them.
    evaluating = min(EVALUATION_SHARE * 60 * minutes, left - pace.update)
    evaluations = max(1, int(min(MOST_EVALUATIONS, evaluating / max(pace.evaluation, 1e-9))))
    steps = int((left - evaluations * pace.evaluation) / pace.update)
    if steps < 1:
        raise SettingsError(
            f"{minutes:g} minutes hold no training: measuring took {spent:.0f} s, an evaluation "
            f"takes {pace.evaluation:.1f} s and an update {pace.update:.2f} s. Give more minutes, "
            "a smaller model, or the number of updates (steps)."
        )
    return steps, math.ceil(steps / evaluations)


def _train_copy(
    model: nn.Module,
    batches: BatchSource,
    settings: TrainSettings,
    evaluate: Callable[[nn.Module], dict[str, float]],
    scratch: Path,
    steps: int,
) -> Pace:
    began_evaluation = 0.0

    def watched(trained: nn.Module) -> dict[str, float]:
        nonlocal began_evaluation
        began_evaluation = time.monotonic()
        return {settings.best_metric: 0.0, **evaluate(trained)}

    short = replace(
        settings,
        max_steps=steps,
        epochs=math.ceil(steps / len(batches)),
        eval_steps=steps,
        save_steps=steps,
    )
    began = time.monotonic()
    train(copy.deepcopy(model), batches, short, evaluate=watched, out=scratch, progress=False)
    pace = Pace((began_evaluation - began) / steps, time.monotonic() - began_evaluation)
    return broadcast_object_list([pace])[0]
