"""A trained classifier: texts in, named labels with probabilities out.

`fine_tune` makes one (chapters 10 and 11); its folder is an ordinary Hugging Face folder.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.classification.encoders import load_encoder, quiet
from companion.classification.metrics import Evaluation, score_logits
from companion.classification.splits import choose_split
from companion.data import load_dataset
from companion.data.batches import LengthBatches
from companion.errors import CheckpointError, DataError, NotFoundError
from companion.training.checkpoints import saving_failed
from companion.training.history import History
from companion.training.settings import choose_precision

if TYPE_CHECKING:
    from companion.classification.result import Result

TOKENIZE_AT_ONCE = 2000  # texts


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


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of many texts, special tokens included.

    Attributes:
        input_ids: one int32 array per text.
        truncated: how many texts were longer than the limit and lost their end.
    """

    input_ids: list[np.ndarray]
    truncated: int


class Classifier:
    """A model with a classification head, its tokenizer and its longest input.

    Args:
        model: a Hugging Face sequence classifier whose config names the labels.
        tokenizer: the tokenizer it was trained with.
        max_length: tokens per text, special ones included; longer texts lose their end.
        history: the record of its training, if this process trained it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int = 256,
        history: History | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.history = history or History()
        self.result: Result | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return tuple(self.model.config.id2label[i] for i in range(self.model.config.num_labels))

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> EncodedTexts:
        """Tokenize, with truncation at `max_length`."""
        input_ids: list[np.ndarray] = []
        truncated = 0
        starts = range(0, len(texts), TOKENIZE_AT_ONCE)
        for start in tqdm(
            starts,
            "tokenizing",
            unit_scale=TOKENIZE_AT_ONCE,
            unit="text",
            disable=not progress or len(starts) < 5,
        ):
            part = list(texts[start : start + TOKENIZE_AT_ONCE])
            encoded = self.tokenizer(
                part, truncation=True, max_length=self.max_length, return_attention_mask=False
            )
            input_ids += [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]
            truncated += sum(bool(e.overflowing) for e in encoded.encodings or [])
        return EncodedTexts(input_ids, truncated)

    def batches(
        self,
        encoded: EncodedTexts,
        labels: Sequence[int] | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 42,
    ) -> LengthBatches:
        """Padded batches of encoded texts."""
        return LengthBatches(
            encoded.input_ids,
            labels,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def logits(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> torch.Tensor:
        """Scores before softmax, fp32 of shape (n, C), in the order of `texts`.

        Inside, texts are sorted by length, so that little is spent on padding.
        """
        encoded = self.encode(texts, progress=progress)
        return self.logits_of(encoded, batch_size=batch_size, progress=progress)

    def logits_of(
        self, encoded: EncodedTexts, *, batch_size: int = 64, progress: bool = False
    ) -> torch.Tensor:
        """As `logits`, for texts that are tokenized already."""
        source = self.batches(encoded, batch_size=batch_size)
        result = torch.empty(len(encoded.input_ids), len(self.labels))
        with tqdm(total=len(result), unit="text", disable=not progress) as bar, self._inference():
            for rows in source.plan(0):
                batch = {k: v.to(self.device) for k, v in source.collate(rows).items()}
                result[torch.from_numpy(rows)] = self.model(**batch).logits.float().cpu()
                bar.update(len(rows))
        return result

    @contextmanager
    def _inference(self) -> Iterator[None]:
        precision = choose_precision("auto", self.device)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float16
        was_training = self.model.training
        self.model.eval()
        try:
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, dtype, enabled=precision != "fp32"),
            ):
                yield
        finally:
            self.model.train(was_training)

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
        feature = data.features["label"]
        names = feature.names if isinstance(feature, ClassLabel) else sorted(set(data["label"]))
        unknown = [str(name) for name in names if str(name) not in self.labels]
        if unknown:
            raise DataError(
                f"The data has labels that this classifier does not know: "
                f"{', '.join(unknown[:5])}. It knows {', '.join(self.labels[:10])}."
            )
        index = {str(name): self.labels.index(str(name)) for name in names}
        if isinstance(feature, ClassLabel):
            return [index[feature.names[i]] for i in data["label"]]
        return [index[str(name)] for name in data["label"]]

    def save(self, folder: str | Path) -> Path:
        """Write a Hugging Face folder: config, safetensors, tokenizer.

        The files are written apart and then moved, config.json last, so that a folder in which
        `Classifier.load` finds a config is whole.

        Raises:
            CheckpointError: the disk refuses to take it.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as partial:
                self.tokenizer.model_max_length = self.max_length
                self.tokenizer.save_pretrained(partial)
                with quiet():
                    self.model.save_pretrained(partial)
                made = sorted(Path(partial).iterdir(), key=lambda p: p.name == "config.json")
                (folder / "config.json").unlink(missing_ok=True)
                for path in made:
                    path.replace(folder / path.name)
        except Exception as error:
            # safetensors reports a full disk as an error of its own type.
            if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
                raise saving_failed(folder, error) from error
            raise
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device | None = None) -> "Classifier":
        """Open what `save` (or any Hugging Face sequence classifier's) wrote.

        Args:
            device: where to put it; by default a GPU when there is one.

        Raises:
            NotFoundError: there is no such folder.
            CheckpointError: the folder is not a whole classifier.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise NotFoundError(
                f"There is no classifier at {folder}: no such folder. Train one with "
                f"`companion train DATA --out {folder}`."
            )
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
        except FileNotFoundError:
            raise CheckpointError(
                f"{folder} has no config.json: its training has not finished, or it is no model. "
                "Finish it with `companion train … --resume`."
            ) from None
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{folder / 'config.json'} does not name the classes of a classifier ({error})."
            ) from error
        model, tokenizer = load_encoder(folder, labels)
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        limit = min(tokenizer.model_max_length, config.get("max_position_embeddings", 512))
        torch.nn.Module.to(model, torch.device(device))
        return cls(model, tokenizer, max_length=int(limit))
