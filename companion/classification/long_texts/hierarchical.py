"""A hierarchical head: the windows of a text are encoded, pooled and trained together (chapter 14).

The encoder makes one vector of each window; mean, max or learned attention (Yang et al. 2016,
section 2.2) makes one vector of these; the classifier's own head scores it. Pappagari et al. 2019
put a recurrent net or a Transformer in the place of the pooling.

Letters: B texts, K windows of a text, T tokens of a window, W = all windows of a batch, D width,
C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from companion.classification.classifier import Classifier, EncodedTexts
from companion.classification.long_texts.window_classifier import WindowClassifier, window_settings
from companion.errors import CheckpointError, SettingsError

WEIGHTS = "pooling.safetensors"
VECTORS = "vectors"


@dataclass
class HierarchicalOutput:
    """What `HierarchicalModel` computes."""

    loss: Tensor | None  # (), only with labels
    logits: Tensor  # (B, C)
    weights: Tensor | None  # (B, K), how much each window counts; None for the maximum


class WindowPooling(nn.Module):
    """From the vectors of a text's windows to one vector; the order of the windows is not seen.

    mean: the sum of h_k / K. max: the largest value of each coordinate. attention:

        u_k = tanh(W h_k + b),  a = softmax over k of (u_k · q),  s = sum of a_k h_k

    W (D, D), b (D,) and q (D,) are learned. q begins at zero, so attention begins as the mean.
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        if kind not in ("mean", "max", "attention"):
            raise SettingsError(f'pooling is {kind!r}. There is "mean", "max" and "attention".')
        self.kind = kind
        if kind == "attention":
            self.dense = nn.Linear(width, width)
            self.query = nn.Linear(width, 1, bias=False)
            nn.init.zeros_(self.query.weight)

    def forward(self, vectors: Tensor, real: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, K, D) and a bool (B, K), False where a text has no window -> (B, D), (B, K)."""
        if self.kind == "max":
            return vectors.masked_fill(~real[..., None], -torch.inf).amax(dim=1), None
        scores = torch.zeros_like(real, dtype=torch.float32)  # (B, K)
        if self.kind == "attention":
            scores = self.query(torch.tanh(self.dense(vectors))).squeeze(-1).float()  # (B, K)
        weights = scores.masked_fill(~real, -torch.inf).softmax(dim=-1)  # (B, K)
        return torch.einsum("bk,bkd->bd", weights.to(vectors.dtype), vectors), weights


class HierarchicalModel(nn.Module):
    """A sequence classifier that reads K windows of a text as one text.

    Args:
        model: a Hugging Face sequence classifier with a head called `classifier`, as those of
            BERT, RoBERTa, XLM-R and ELECTRA have; a text of one window gets its own logits.
        pooling: "mean", "max" or "attention".

    Raises:
        SettingsError: the model's head is of another kind, or there is no such pooling.
    """

    def __init__(self, model: PreTrainedModel, pooling: str = "attention") -> None:
        super().__init__()
        if (
            model.base_model is model
            or not hasattr(model, "classifier")
            or hasattr(model, "pre_classifier")
        ):
            raise SettingsError(
                f"{type(model).__name__} has no vector of a text under a head called classifier, "
                "so its windows cannot be trained together. WindowClassifier pools its logits."
            )
        self.model = model
        self.pool = WindowPooling(pooling, model.config.hidden_size)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None
    ) -> HierarchicalOutput:
        """Score B texts.

        Args:
            input_ids: (B, K, T), int64.
            attention_mask: (B, K, T), 0 at padding; all 0 where a text has no such window.
            labels: (B,), int64.
        """
        real = attention_mask.any(dim=-1)  # (B, K)
        found = self.window_vectors(input_ids[real], attention_mask[real])  # (W, D)
        vectors = found.new_zeros(*real.shape, found.size(-1))  # (B, K, D)
        vectors[real] = found
        texts, weights = self.pool(vectors, real)  # (B, D), (B, K)
        logits = self.score(texts)  # (B, C)
        loss = None if labels is None else cross_entropy(logits.float(), labels)
        return HierarchicalOutput(loss, logits, weights)

    def window_vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """One vector a window, (W, D), of ids (W, T): the pooled one, else that of [CLS]."""
        body: Any = self.model.base_model(input_ids=input_ids, attention_mask=attention_mask)
        pooled = getattr(body, "pooler_output", None)
        return body.last_hidden_state[:, 0] if pooled is None else pooled

    def score(self, vectors: Tensor) -> Tensor:
        """Logits, (..., C), of vectors (..., D), by the model's own head."""
        head: Any = self.model.classifier
        if isinstance(head, nn.Linear):
            return head(getattr(self.model, "dropout", nn.Identity())(vectors))
        # RoBERTa's kind of head takes the states of a whole text and looks at the first.
        return head(vectors[:, None])


class HierarchicalClassifier(WindowClassifier):
    """A `HierarchicalModel` with its tokenizer: texts in, labels out.

    Args:
        classifier: tokenizer, size of a window, and the model that encodes the windows.
        stride, max_windows: see `WindowClassifier`.
        pooling: "mean", "max" or "attention", of the windows' vectors.
    """

    poolings = ("mean", "max", "attention")

    def __init__(
        self,
        classifier: Classifier,
        *,
        stride: int | None = None,
        pooling: str = "attention",
        max_windows: int | None = None,
    ) -> None:
        super().__init__(classifier, stride=stride, pooling=pooling, max_windows=max_windows)
        self.model = HierarchicalModel(classifier.model, pooling).to(classifier.device).eval()

    def logits_of(
        self, ids: Sequence[np.ndarray], *, batch_size: int = 64, progress: bool = False
    ) -> Tensor:
        """Scores of whole texts, fp32 of shape (n, C); `batch_size` counts windows."""
        return self.read(ids, batch_size=batch_size)[0]

    def weights(self, texts: Sequence[str], *, batch_size: int = 64) -> list[Tensor]:
        """How much each window of each text counted: one (K,) tensor a text, of sum 1."""
        if self.pooling == "max":
            raise SettingsError("The maximum has no weights: each coordinate has its own window.")
        return self.read(self.token_ids(texts), batch_size=batch_size)[1]

    def read(
        self, ids: Sequence[np.ndarray], *, batch_size: int = 64
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (n, C) of the ids of whole texts, and the weights of their windows.

        Windows pass the encoder `batch_size` at a time, so a text of any length can be read.
        """
        windows = [self.cutter.windows(text) for text in ids]
        flat = EncodedTexts([window for text in windows for window in text], 0)
        source = self.classifier.batches(flat, batch_size=batch_size)
        vectors = torch.empty(len(flat.input_ids), self.classifier.model.config.hidden_size)
        logits, weights = torch.empty(len(ids), len(self.labels)), []
        with self.classifier._inference():
            for rows in source.plan(0):
                batch = {k: v.to(self.device) for k, v in source.collate(rows).items()}
                found = self.model.window_vectors(batch["input_ids"], batch["attention_mask"])
                vectors[torch.from_numpy(rows)] = found.float().cpu()  # (W, D)
            texts = vectors.split([len(text) for text in windows])
            for start in range(0, len(texts), batch_size):
                part = texts[start : start + batch_size]
                padded = pad_sequence(part, batch_first=True).to(self.device)  # (B, K, D)
                counts = torch.tensor([len(text) for text in part])  # (B,)
                real = (torch.arange(padded.size(1)) < counts[:, None]).to(self.device)  # (B, K)
                pooled, counted = self.model.pool(padded, real)
                logits[start : start + batch_size] = self.model.score(pooled).float().cpu()
                if counted is not None:
                    weights += [w[:n].cpu() for w, n in zip(counted, counts, strict=True)]
        return logits, weights

    def settings(self) -> dict[str, str | int | None]:
        """What config.json keeps."""
        return super().settings() | {"of": VECTORS}

    def save_parts(self, folder: Path) -> None:
        """The weights of the attention over windows."""
        if self.pooling == "attention":
            weights = {k: v.detach().cpu() for k, v in self.model.pool.state_dict().items()}
            save_file(weights, folder / WEIGHTS)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str | torch.device | None = None
    ) -> "HierarchicalClassifier":
        """Open what `save` wrote; errors as in `WindowClassifier.load`."""
        folder = Path(folder)
        settings: dict[str, Any] | None = window_settings(folder)
        if settings is None or settings.pop("of", None) != VECTORS:
            raise CheckpointError(
                f"{folder} does not hold a classifier that pools vectors of windows. "
                "Open it with companion.classification.load_classifier."
            )
        opened = cls(Classifier.load(folder, device=device), **settings)
        if opened.pooling == "attention":
            try:
                opened.model.pool.load_state_dict(load_file(folder / WEIGHTS))
            except (OSError, SafetensorError, RuntimeError) as error:
                raise CheckpointError(
                    f"The weights of the attention over windows, {folder / WEIGHTS}, cannot be "
                    f"read ({str(error).splitlines()[0]}). Save the classifier again."
                ) from error
        return opened
