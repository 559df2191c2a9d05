"""A trained classifier: texts in, named labels with probabilities out.

`fine_tune` makes one (chapters 10 and 11); its folder is an ordinary Hugging Face folder.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.classification.encoders import load_encoder, quiet
from companion.classification.interface import TextClassifier, read_config, writing
from companion.classification.long_texts.truncation import TRUNCATIONS, check_truncation, encode_cut
from companion.data.batches import LengthBatches
from companion.errors import CheckpointError
from companion.training.history import History
from companion.training.settings import choose_precision

TOKENIZE_AT_ONCE = 2000  # texts


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of many texts, special tokens included.

    Attributes:
        input_ids: one int32 array per text.
        truncated: how many texts were longer than the limit and were cut.
    """

    input_ids: list[np.ndarray]
    truncated: int


class Classifier(TextClassifier):
    """A model with a classification head, its tokenizer and its longest input.

    Args:
        model: a Hugging Face sequence classifier whose config names the labels.
        tokenizer: the tokenizer it was trained with.
        max_length: tokens per text, special ones included; longer texts are cut.
        history: the record of its training, if this process trained it.
        truncation: what of a longer text is read, "head", "tail" or "head+tail" (see
            `companion.classification.long_texts.truncation`); saved with the model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int = 256,
        history: History | None = None,
        truncation: str = "head",
    ) -> None:
        check_truncation(truncation)
        self.truncation = truncation
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.history = history or History()

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
            if self.truncation != "head":
                ids, cut = encode_cut(self.tokenizer, part, self.max_length, self.truncation)
                input_ids, truncated = input_ids + ids, truncated + cut
                continue
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

    def save(self, folder: str | Path) -> Path:
        """Write a Hugging Face folder: config, safetensors, tokenizer.

        The files are written apart and then moved, config.json last, so that a folder in which
        `Classifier.load` finds a config is whole.

        Raises:
            CheckpointError: the disk refuses to take it.
        """
        folder = Path(folder)
        with writing(folder) as partial:
            self.tokenizer.model_max_length = self.max_length
            self.model.config.truncation = self.truncation
            # Weights that came from a classifier of long texts; this one reads no windows.
            vars(self.model.config).pop("windows", None)
            self.tokenizer.save_pretrained(partial)
            with quiet():
                self.model.save_pretrained(partial)
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
        config, labels = read_config(folder)
        if config.get("model_type") in ("tfidf", "ensemble"):
            raise CheckpointError(
                f"{folder} holds {config['model_type']}, which is not one network. Open it with "
                "companion.classification.load_classifier."
            )
        model, tokenizer = load_encoder(folder, labels)
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        limit = min(tokenizer.model_max_length, config.get("max_position_embeddings", 512))
        torch.nn.Module.to(model, torch.device(device))
        truncation = config.get("truncation")
        return cls(
            model,
            tokenizer,
            max_length=int(limit),
            truncation=truncation if truncation in TRUNCATIONS else "head",
        )
