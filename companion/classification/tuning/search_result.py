"""What a search leaves: every trial, the best one, and what to make of it (chapter 13)."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from companion.classification.metrics import Evaluation
from companion.errors import TrainingError

State = Literal["complete", "pruned", "out of time", "failed"]


@dataclass(frozen=True)
class Trial:
    """One point of the space, and how far it got.

    Attributes:
        number: from 0; number 0 has the defaults.
        settings: what was tried, rounded as it was used.
        state: "pruned" by the median of the others, "out of time" at the end of the budget,
            "failed" by a loss that was no number, or for want of memory.
        dev: the score of a complete one.
        curve: the score after each evaluation.
        seconds: of this trial.
        ended: seconds of the search, over all its parts, when it ended.
        reason: of a failure.
    """

    number: int
    settings: dict[str, Any]
    state: State
    dev: Evaluation | None = None
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    ended: float = 0.0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON takes it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "curve": list(self.curve), "dev": self.dev and self.dev.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Trial":
        """The inverse of `to_dict`."""
        dev = values["dev"] and Evaluation.from_dict(values["dev"])
        return cls(**{**values, "curve": tuple(values["curve"]), "dev": dev})

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {brief(value)}" for name, value in self.settings.items())
        if self.dev is not None:
            end = f"accuracy {self.dev.accuracy:.2%}, macro-F1 {self.dev.macro_f1:.2%}"
        else:
            end = f"{self.state} after {len(self.curve)} evaluations"
        return f"trial {self.number}: {end} in {self.seconds:.0f} s ({settings})"


@dataclass(frozen=True)
class Search:
    """All trials of a search.

    Attributes:
        model, fixed: what was the same in all trials.
        metric: "accuracy" or "macro_f1", on dev.
        trials: in order of time.
        minutes: the budget.
        notes: what was decided for the user.
    """

    model: str
    metric: str
    trials: tuple[Trial, ...]
    fixed: dict[str, Any]
    minutes: float
    notes: tuple[str, ...] = ()

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """The complete trials, best first; of equal scores the one with the lower dev loss."""
        complete = [trial for trial in self.trials if trial.dev is not None]
        return tuple(sorted(complete, key=lambda t: (-self.score(t), t.dev and t.dev.loss)))

    @property
    def best(self) -> Trial:
        """The complete trial with the highest score on dev.

        Raises:
            TrainingError: none is complete.
        """
        if ranking := self.ranking:
            return ranking[0]
        failed = [trial.reason for trial in self.trials if trial.reason]
        raise TrainingError(
            f"No trial was complete after {self.minutes:g} minutes"
            + (f" ({failed[-1]})" if failed else "")
            + ". Give more minutes, fewer epochs, or fewer rows."
        )

    def score(self, trial: Trial) -> float:
        """The metric of a complete trial, between 0 and 1."""
        if trial.dev is None:
            raise TrainingError(f"Trial {trial.number} is not complete ({trial.state}).")
        return float(getattr(trial.dev, self.metric))

    @property
    def settings(self) -> dict[str, Any]:
        """What to pass to `fine_tune`: the best trial's settings and the fixed ones."""
        return {**self.fixed, **self.best.settings}

    def command(
        self,
        data: str = "DATA",
        out: str = "runs/best",
        columns: Mapping[str, str] | None = None,
    ) -> str:
        """The same as a command line; `columns` are flags on how to read the data."""
        words = ["companion", "train", data, "--model", self.model, "--out", out]
        words += [word for pair in (columns or {}).items() for word in pair]
        for name, value in self.settings.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                words.append(flag)
            elif value is not None and value is not False:
                words += [flag, brief(value)]
        return shlex.join(words)

    def advice(self) -> str:
        """How much the search has found, and what its best score is not."""
        best, default = self.best, next((t for t in self.trials if t.number == 0), None)
        counts = {state: sum(t.state == state for t in self.trials) for state in _STATES}
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        lines = [f"{len(self.trials)} trials ({said}). Best on dev: {best.dev}."]
        if best.number == 0:
            lines.append("Those are the defaults: nothing better was found.")
        elif default is not None and default.dev is not None:
            low, high = getattr(default.dev, f"{self.metric}_interval")
            lines.append(f"The defaults: {self.score(default):.2%} [{low:.2%}, {high:.2%}].")
            if self.score(best) <= high:
                lines.append(
                    "The best lies within that interval: the gain may be luck. Train both with "
                    "three other seeds before you believe in it."
                )
        lines.append(
            "The best of many scores is too high on average (Cawley & Talbot 2010): what it is "
            "worth only a split says that chose nothing, scored once."
        )
        return " ".join(lines)

    def table(self) -> list[dict[str, Any]]:
        """One row a trial, best first, then those that were not complete."""
        rest = [trial for trial in self.trials if trial.dev is None]
        return [
            {
                "trial": trial.number,
                "state": trial.state,
                self.metric: trial.dev and self.score(trial),
                **trial.settings,
                "evaluations": len(trial.curve),
                "seconds": round(trial.seconds, 1),
            }
            for trial in (*self.ranking, *rest)
        ]


def brief(value: Any) -> str:
    """A value as it is typed."""
    return f"{value:g}" if isinstance(value, float) else str(value)


_STATES: tuple[State, ...] = ("complete", "pruned", "out of time", "failed")
