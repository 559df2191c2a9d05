"""A classifier of short texts reads long ones: window by window, then one answer (chapter 14).

Nothing is trained here. `hierarchical` trains the windows of a text together.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from companion.classification.classifier import TOKENIZE_AT_ONCE, Classifier, EncodedTexts
from companion.classification.interface import TextClassifier, read_config, writing
from companion.classification.long_texts.truncation import special_ids, token_ids
from companion.classification.long_texts.windows import Cutter
from companion.errors import CheckpointError, SettingsError

POOLINGS = ("mean", "max")
POOLED = ("logits", "probabilities")
WINDOWS = "windows"  # where config.json keeps the settings of this module
Self = TypeVar("Self", bound="WindowClassifier")


def pool_windows(
    logits: Tensor,
    pooling: str = "mean",
    of: Literal["logits", "probabilities"] = "logits",
) -> Tensor:
    """One answer from the K windows of a text.

    Args:
        logits: (K, C), one row a window, in any order.
        pooling: "mean", or "max": of each class, its best window.
        of: "logits", or "probabilities": softmax first, so that no window counts more than one.

    Returns:
        Logits of the text, (C,). For probabilities they are the logarithms of what was pooled.
    """
    if of == "probabilities":
        pooled = pool_windows(torch.softmax(logits, dim=-1), pooling)  # (C,)
        return pooled.clamp(min=torch.finfo(pooled.dtype).tiny).log()
    return logits.mean(dim=0) if pooling == "mean" else logits.amax(dim=0)


class WindowClassifier(TextClassifier):
    """Any trained `Classifier`, with windows in place of truncation.

    A text that fits into one window gets the logits that it gets without this class.

    Args:
        classifier: scores single windows; its `max_length` is the size of a window.
        stride: tokens that neighbouring windows share; by default a quarter of a window.
        pooling: "mean" or "max", see `pool_windows`.
        of: "logits" or "probabilities", see `pool_windows`.
        max_windows: of a text with more, so many are read, evenly spread; None reads all.

    Raises:
        SettingsError: there is no such pooling, or such windows are impossible.
    """

    poolings: tuple[str, ...] = POOLINGS

    def __init__(
        self,
        classifier: Classifier,
        *,
        stride: int | None = None,
        pooling: str = "mean",
        of: Literal["logits", "probabilities"] = "logits",
        max_windows: int | None = None,
    ) -> None:
        if pooling not in self.poolings or of not in POOLED:
            raise SettingsError(
                f"pooling is {pooling!r} of {of!r}. There is {', '.join(self.poolings)}, "
                f"of {' or '.join(POOLED)}."
            )
        if stride is None:
            stride = classifier.max_length // 4
        self.classifier, self.pooling, self.of = classifier, pooling, of
        self.cutter = Cutter(
            classifier.max_length, stride, special_ids(classifier.tokenizer), max_windows
        )
        self.history = classifier.history

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return self.classifier.labels

    @property
    def device(self) -> torch.device:
        return self.classifier.device

    def token_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """All token ids of each text, without special tokens."""
        ids: list[np.ndarray] = []
        for start in range(0, len(texts), TOKENIZE_AT_ONCE):
            part = texts[start : start + TOKENIZE_AT_ONCE]
            ids += token_ids(self.classifier.tokenizer, part)
        return ids

    def logits(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> Tensor:
        """Pooled scores before softmax, fp32 of shape (n, C), in the order of `texts`."""
        return self.logits_of(self.token_ids(texts), batch_size=batch_size, progress=progress)

    def logits_of(
        self, ids: Sequence[np.ndarray], *, batch_size: int = 64, progress: bool = False
    ) -> Tensor:
        """As `logits`, for the ids of whole texts (see `token_ids`)."""
        parts = self.window_logits_of(ids, batch_size=batch_size, progress=progress)
        rows = [pool_windows(part, self.pooling, self.of) for part in parts]
        return torch.stack(rows) if rows else torch.empty(0, len(self.labels))

    def window_logits(self, texts: Sequence[str], *, batch_size: int = 64) -> list[Tensor]:
        """What is pooled: for each text the logits of its K windows, (K, C)."""
        return list(self.window_logits_of(self.token_ids(texts), batch_size=batch_size))

    def window_logits_of(
        self, ids: Sequence[np.ndarray], *, batch_size: int = 64, progress: bool = False
    ) -> tuple[Tensor, ...]:
        """As `window_logits`, for the ids of whole texts; `batch_size` counts windows."""
        windows = [self.cutter.windows(text) for text in ids]
        # The windows of all texts are sorted by length together, so few positions are padding.
        flat = EncodedTexts([window for text in windows for window in text], 0)
        scores = self.classifier.logits_of(flat, batch_size=batch_size, progress=progress)
        return scores.split([len(text) for text in windows])

    def save(self, folder: str | Path) -> Path:
        """Write the classifier's Hugging Face folder, with the settings of the windows in it.

        Plain `transformers` opens it as the classifier of single windows.

        Raises:
            CheckpointError: the disk refuses to take it.
        """
        folder = Path(folder)
        with writing(folder) as partial:
            self.classifier.save(partial)
            self.save_parts(partial)
            path = partial / "config.json"
            config = json.loads(path.read_text("utf-8")) | {WINDOWS: self.settings()}
            path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return folder

    def save_parts(self, folder: Path) -> None:
        """What a folder holds beside the classifier: here nothing."""

    def settings(self) -> dict[str, str | int | None]:
        """What config.json keeps."""
        return {
            "stride": self.cutter.stride,
            "pooling": self.pooling,
            "of": self.of,
            "max_windows": self.cutter.max_windows,
        }

    @classmethod
    def load(
        cls: type[Self], folder: str | Path, *, device: str | torch.device | None = None
    ) -> Self:
        """Open what `save` wrote.

        Raises:
            NotFoundError: there is no such folder.
            CheckpointError: the folder is not a whole classifier of this kind.
        """
        settings = window_settings(Path(folder))
        if settings is None or settings.get("of") not in POOLED:
            raise CheckpointError(
                f"{folder} does not hold a classifier that pools {' or '.join(POOLED)} of windows. "
                "Open it with companion.classification.load_classifier."
            )
        return cls(Classifier.load(folder, device=device), **settings)


def window_settings(folder: Path) -> dict | None:
    """The settings of the windows in a saved folder; None for a classifier without them."""
    found = read_config(folder)[0].get(WINDOWS)
    return found if isinstance(found, dict) else None
