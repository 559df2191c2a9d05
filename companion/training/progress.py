"""One line that says how a run is doing: epoch, loss, rate, best number so far, time left."""

import math

from tqdm.auto import tqdm

from companion.training.history import History

SMOOTHED_OVER = 50  # updates


class ProgressBar:
    """A bar over the updates of a run; use it in a `with` statement.

    Args:
        total_steps, step: updates of the whole run, and those already made.
        steps_per_epoch: to tell the epoch from the step.
        shown: False draws nothing.
    """

    def __init__(self, total_steps: int, step: int, steps_per_epoch: int, *, shown: bool) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.epochs = math.ceil(total_steps / steps_per_epoch)
        self.bar = tqdm(total=total_steps, initial=step, unit="step", disable=not shown)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, step: int, history: History, metric: str) -> None:
        """Move to `step`, with the mean of the latest losses and the last value of `metric`."""
        epoch = math.ceil(step / self.steps_per_epoch)
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
        recent = [r for r in history.records[-SMOOTHED_OVER:] if r["kind"] == "train"]
        if recent:
            loss = sum(record["loss"] for record in recent) / len(recent)
            shown = {"loss": f"{loss:.3f}", "rate": f"{recent[-1]['learning_rate']:.1e}"}
            if metric in history.last_eval:
                shown[metric] = f"{history.last_eval[metric]:.4f}"
            self.bar.set_postfix(shown, refresh=False)
        self.bar.update(step - self.bar.n)
