"""What a run leaves behind beside the model: metrics.json, history.csv, training_curves.png."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import DatasetDict

from companion.classification.classifier import Classifier
from companion.classification.interface import TextClassifier
from companion.classification.metrics import Evaluation
from companion.errors import SettingsError
from companion.training import write_atomically
from companion.training.checkpoints import saving_failed


@dataclass(frozen=True)
class Result:
    """What a run gave, as metrics.json stores it.

    Attributes:
        model: the name of the starting point.
        settings: every setting of the run.
        rows: texts per split, as used.
        truncated: training texts that lost their end at `max_length`.
        dev, test: scores of the kept weights, where the split exists.
        seconds: of training and its evaluations.
        device: what it ran on.
        notes: what was decided for the user.
    """

    model: str
    settings: dict[str, Any]
    rows: dict[str, int]
    truncated: int
    dev: Evaluation | None
    test: Evaluation | None
    seconds: float
    device: str
    notes: tuple[str, ...]

    @classmethod
    def of_run(
        cls, data: DatasetDict, score: Callable[[str], Evaluation], **values: Any
    ) -> "Result":
        """The scores of dev and test, where they exist, and everything else about the run.

        Args:
            data: the splits that were used.
            score: what scores the split of a name.
            values: the other attributes.
        """
        scores = {name: score(name) if name in data else None for name in ("dev", "test")}
        rows = {name: len(split) for name, split in data.items()}
        return cls(rows=rows, **scores, **values)  # type: ignore[arg-type]  # dev and test

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON takes it."""
        values = {f: getattr(self, f) for f in self.__dataclass_fields__}
        scores = {name: score and score.to_dict() for name, score in self._scores().items()}
        return {**values, **scores, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Result":
        """The inverse of `to_dict`."""
        scores = {n: values[n] and Evaluation.from_dict(values[n]) for n in ("dev", "test")}
        return cls(**{**values, **scores, "notes": tuple(values["notes"])})

    def _scores(self) -> dict[str, Evaluation | None]:
        return {"dev": self.dev, "test": self.test}


def save_run(classifier: TextClassifier, out: Path) -> None:
    """Write everything into `out`; only when that is done are the checkpoints removed."""
    if not PartialState().is_main_process or classifier.result is None:
        return
    classifier.save(out)
    if len(classifier.history):
        classifier.history.to_csv(out / "history.csv")
        save_curves(classifier, out / "training_curves.png")
    content = json.dumps(classifier.result.to_dict(), indent=2, ensure_ascii=False)
    write_atomically(out / "metrics.json", content.encode())
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


def save_curves(classifier: TextClassifier, path: Path) -> None:
    """Draw the losses and scores of the run."""
    import matplotlib

    from companion.plots import training_curves

    # Another backend would ask for a screen.
    with matplotlib.rc_context({"backend": "agg"}):
        figure = training_curves(classifier.history)
        try:
            figure.savefig(path, dpi=120)
        except OSError as error:
            raise saving_failed(path, error) from error


def finished_run(out: Path, *, resume: bool) -> Classifier | None:
    """The classifier of a run that is over, when it is to be resumed; None when there is none.

    Raises:
        SettingsError: `out` holds a run, and nobody asked to resume it.
    """
    finished, begun = (out / "metrics.json").is_file(), (out / "checkpoints").is_dir()
    if not resume and (finished or begun or (out / "config.json").exists()):
        raise SettingsError(
            f"{out} already holds a run. Go on with it by --resume (resume=True), or give "
            "another folder."
        )
    if not finished or begun:
        return None
    classifier = Classifier.load(out)
    classifier.result = Result.from_dict(json.loads((out / "metrics.json").read_text("utf-8")))
    return classifier
