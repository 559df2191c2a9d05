"""What every classifier of this package can do: predict, evaluate, save, be opened again.

A network and a support vector machine differ in how they score a text, and in nothing else that
a user meets. So a classifier supplies `labels`, `logits` and `save`; the rest is written here.
"""

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import ClassLabel, Dataset, DatasetDict

from companion.classification.metrics import Evaluation, score_logits
from companion.classification.splits import choose_split
from companion.data import load_dataset
from companion.errors import CheckpointError, DataError, NotFoundError
from companion.training.checkpoints import saving_failed
from companion.training.history import History

if TYPE_CHECKING:
    from companion.classification.result import Result


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    Attributes:
        label: the most probable class.
        probability: its softmax probability, between 0 and 1.
        probabilities: all classes' probabilities; they sum to 1.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


class TextClassifier(ABC):
    """Texts in, named labels with probabilities out.

    Attributes:
        result: the scores and settings of its training, if this process trained it.
        history: the losses of that training; empty where there was no gradient descent.
    """

    result: "Result | None" = None
    history: History

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""

    @abstractmethod
    def logits(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> torch.Tensor:
        """Scores before softmax, fp32 of shape (n, C), in the order of `texts`."""

    @abstractmethod
    def save(self, folder: str | Path) -> Path:
        """Write a folder that `load_classifier` opens.

        Raises:
            CheckpointError: the disk refuses to take it.
        """

    def predict(
        self, texts: str | Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> list[Prediction]:
        """Label and probabilities of each text, in order; a single string gives a list of one.

        Raises:
            DataError: a text is not a string, or has nothing in it.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        for i, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"Text number {i + 1} is {text!r}; there is nothing to classify.")
        if not texts:
            return []
        logits = self.logits(texts, batch_size=batch_size, progress=progress)
        probabilities = torch.softmax(logits, dim=-1)  # (n, C)
        best = probabilities.argmax(-1).tolist()
        return [
            Prediction(self.labels[i], row[i], dict(zip(self.labels, row, strict=True)))
            for i, row in zip(best, probabilities.tolist(), strict=True)
        ]

    def evaluate(
        self,
        data: Dataset | DatasetDict | str | Path,
        *,
        split: str | None = None,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Evaluation:
        """Accuracy, macro-F1 and confusion matrix on labelled texts, with intervals.

        Args:
            data: a split, or data with splits, or what `load_dataset` takes.
            split: which split; by default "test", else "dev", else the only one.

        Raises:
            DataError: the data has no such split, or a label this classifier does not know.
        """
        if isinstance(data, str | Path):
            data = load_dataset(data, labels=self.labels)
        if isinstance(data, DatasetDict):
            data = data[choose_split(data, split)]
        true = self.label_indices(data)
        logits = self.logits(data["text"][:], batch_size=batch_size, progress=progress)
        return score_logits(logits, true, self.labels)

    def label_indices(self, data: Dataset) -> list[int]:
        """The labels of a split as this classifier's class indices."""
        return label_indices(data, self.labels)


def label_indices(data: Dataset, labels: Sequence[str]) -> list[int]:
    """The labels of a split as indices in `labels`, whatever order the split itself gives them.

    Raises:
        DataError: a label is none of `labels`.
    """
    feature = data.features["label"]
    names = feature.names if isinstance(feature, ClassLabel) else sorted(set(data["label"]))
    unknown = [str(name) for name in names if str(name) not in labels]
    if unknown:
        raise DataError(
            f"The data has labels that this classifier does not know: "
            f"{', '.join(unknown[:5])}. It knows {', '.join(labels[:10])}."
        )
    index = {str(name): labels.index(str(name)) for name in names}
    if isinstance(feature, ClassLabel):
        return [index[feature.names[i]] for i in data["label"]]
    return [index[str(name)] for name in data["label"]]


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A place apart for the files of a classifier; at the end they move to `folder`.

    config.json moves last, so that a folder with a config is whole.

    Raises:
        CheckpointError: the disk refuses to take it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as partial:
            yield Path(partial)
            made = sorted(Path(partial).iterdir(), key=lambda p: p.name == "config.json")
            (folder / "config.json").unlink(missing_ok=True)
            for path in made:
                path.replace(folder / path.name)
    except Exception as error:
        # safetensors reports a full disk as an error of its own type.
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise saving_failed(folder, error) from error
        raise


def read_config(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The config.json of a saved classifier, and the class names in it.

    Raises:
        NotFoundError: there is no such folder.
        CheckpointError: the folder is not a whole classifier.
    """
    if not folder.is_dir():
        raise NotFoundError(
            f"There is no classifier at {folder}: no such folder. Train one with "
            f"`companion train DATA --out {folder}`."
        )
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        return config, [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no config.json: its training has not finished, or it is no model. "
            "Finish it with `companion train … --resume`."
        ) from None
    except (ValueError, KeyError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} does not name the classes of a classifier ({error})."
        ) from error
