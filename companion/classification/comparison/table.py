"""The table of a comparison, what in it is more than luck, and which model to take for what."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from companion.classification.comparison.paired import Difference, differences
from companion.classification.metrics import Evaluation
from companion.errors import TrainingError

WORTH_NAMING = 1.2  # times as fast or as small; less may be the clock's mood


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison: a row of its table.

    Attributes:
        model: its name.
        evaluation: its scores on the test texts; None where it failed.
        predicted: class index of each test text.
        train_seconds: from a table to a classifier, tokenizing and dev evaluations included.
        texts_per_second: of prediction, from strings to logits, many texts in one call.
        disk_bytes: of the saved classifier with all it needs to be opened.
        failure: why there is no result.
    """

    model: str
    evaluation: Evaluation | None = None
    predicted: tuple[int, ...] = ()
    train_seconds: float = 0.0
    texts_per_second: float = 0.0
    disk_bytes: int = 0
    failure: str | None = None

    @property
    def scores(self) -> Evaluation:
        """The evaluation of a candidate that has one."""
        if self.evaluation is None:
            raise TrainingError(f"{self.model} has no scores: {self.failure}.")
        return self.evaluation

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON takes it."""
        score = self.evaluation and self.evaluation.to_dict()
        return {**vars(self), "evaluation": score, "predicted": list(self.predicted)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Candidate":
        """The inverse of `to_dict`; other keys are passed by."""
        known = {name: values[name] for name in cls.__dataclass_fields__}
        score = known["evaluation"] and Evaluation.from_dict(known["evaluation"])
        return cls(**{**known, "evaluation": score, "predicted": tuple(known["predicted"])})


@dataclass(frozen=True)
class Comparison:
    """Several models, trained and scored on the same texts.

    Attributes:
        candidates: in the order in which they were asked for, failed ones included.
        true: class index of each test text.
        rows: texts per split, as used.
        scored: the name of the split that gave the test texts.
        device: what it ran on.
        notes: what was decided for the user.
    """

    candidates: tuple[Candidate, ...]
    true: tuple[int, ...]
    rows: dict[str, int]
    scored: str
    device: str
    notes: tuple[str, ...] = ()

    @cached_property
    def ranking(self) -> list[Candidate]:
        """The candidates that have scores, most accurate first."""
        finished = [c for c in self.candidates if c.evaluation is not None]
        return sorted(finished, key=lambda c: (-c.scores.accuracy, -c.scores.macro_f1))

    @property
    def best(self) -> Candidate:
        """The most accurate.

        Raises:
            TrainingError: every candidate failed.
        """
        if not self.ranking:
            reasons = "; ".join(f"{c.model}: {c.failure}" for c in self.candidates)
            raise TrainingError(f"No candidate could be trained. {reasons}.")
        return self.ranking[0]

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """How far each of the others stands behind the best, by name."""
        true = np.asarray(self.true)
        rights = {c.model: np.asarray(c.predicted) == true for c in self.ranking}
        return differences(rights, self.best.model)

    @property
    def ties(self) -> list[Candidate]:
        """The others that these texts cannot tell from the best."""
        return [c for c in self.ranking[1:] if not self.differences[c.model].is_real()]

    def advice(self) -> str:
        """Which model to take for accuracy, for speed and for size, in one sentence.

        For speed it is the fastest of those that are not measurably worse than the best; where
        that is the best itself, the fastest of all, and its price. For size likewise.
        """
        best = self.best
        if len(self.ranking) == 1:
            return f"Only {best.model} has a result, so there is nothing to choose from."
        alike = ""
        if self.ties:
            names = _and([c.model for c in self.ties])
            alike = f", though {len(self.true):,} texts cannot tell {names} from it"
        return (
            f"For accuracy take {best.model} ({best.scores.accuracy:.1%}){alike}; "
            + self._advice_for("speed", "as fast", lambda c: c.texts_per_second)
            + "; "
            + self._advice_for("size", "as small", lambda c: 1 / max(c.disk_bytes, 1))
            + "."
        )

    def _advice_for(self, what: str, how: str, merit: Callable[[Candidate], float]) -> str:
        def times(candidate: Candidate) -> float:
            return merit(candidate) / merit(self.best)

        good = max([self.best, *self.ties], key=merit)
        best_of_all = max(self.ranking, key=merit)
        taken = good if times(good) >= WORTH_NAMING else best_of_all
        if times(taken) < WORTH_NAMING:
            return f"for {what} nothing else is better"
        points = 100 * self.differences[taken.model].points
        price = f"for {points:.1f} points of accuracy"
        if not self.differences[taken.model].is_real():
            price = f"and its {points:.1f} points less may be luck" if points else "and no worse"
        return f"for {what} take {taken.model}, {_times(times(taken))} {how} {price}"

    def table(self) -> list[dict[str, Any]]:
        """The numbers of each candidate, best first and failed ones last, without predictions."""
        rows = []
        for candidate in self.ranking:
            score, behind = candidate.scores, self.differences.get(candidate.model)
            rows.append(
                {
                    "model": candidate.model,
                    "accuracy": score.accuracy,
                    "accuracy_interval": list(score.accuracy_interval),
                    "macro_f1": score.macro_f1,
                    "macro_f1_interval": list(score.macro_f1_interval),
                    "behind_best": behind.points if behind else 0.0,
                    "behind_interval": list(behind.interval) if behind else None,
                    "p": behind.p if behind else None,
                    "real": behind.is_real() if behind else None,
                    "train_seconds": candidate.train_seconds,
                    "texts_per_second": candidate.texts_per_second,
                    "disk_bytes": candidate.disk_bytes,
                    "failure": None,
                }
            )
        failed = [c for c in self.candidates if c.evaluation is None]
        return rows + [{"model": c.model, "failure": c.failure} for c in failed]

    def to_frame(self) -> Any:
        """`table` as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.table()).set_index("model")

    def to_dict(self) -> dict[str, Any]:
        """Everything that a program may want of it."""
        values = {name: getattr(self, name) for name in ("rows", "scored", "device")}
        return {
            **values,
            "notes": list(self.notes),
            "best": self.best.model,
            "ties": [c.model for c in self.ties],
            "advice": self.advice(),
            "table": self.table(),
            "differences": {name: asdict(d) for name, d in self.differences.items()},
        }


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
