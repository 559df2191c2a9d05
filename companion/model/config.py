"""The numbers that define a BERT, and their file `config.json` (chapters 4 and 6).

Names and defaults are those of Hugging Face's `BertConfig`, so a folder written by
either library is read by the other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812

from companion.errors import CheckpointError, SettingsError

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,  # exact: x * Phi(x), not the tanh approximation
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}
CONFIG_FILE = "config.json"
_WHOLE_NUMBERS = {
    "vocab_size": 1,
    "hidden_size": 1,
    "num_hidden_layers": 0,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "max_position_embeddings": 1,
    "type_vocab_size": 1,
    "num_labels": 1,
}


@dataclass(frozen=True)
class BertConfig:
    """Sizes and rates of a BERT; the defaults are BERT-base (Devlin et al. 2019, section 3).

    Presets: `tiny()`, `mini()`, `small()`, `medium()` (Turc et al. 2019), `base()`, `large()`;
    each takes the fields below as keyword arguments, e.g. `BertConfig.mini(vocab_size=21128)`.
    Raises SettingsError for values that no model can have.
    """

    vocab_size: int = 30522  # V: rows of the token table; 21128 in bert-base-chinese
    hidden_size: int = 768  # D: width of every token's vector
    num_hidden_layers: int = 12
    num_attention_heads: int = 12  # N: must divide hidden_size
    intermediate_size: int = 3072  # width inside the feed-forward block, 4 * D by custom
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512  # longest T the model can read
    type_vocab_size: int = 2  # segments: first and second text of a pair
    initializer_range: float = 0.02  # standard deviation of the random start
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0  # this row of the token table gets no gradient from the input
    classifier_dropout: float | None = None  # None: as hidden_dropout_prob
    num_labels: int = 2  # C
    id2label: dict[int, str] | None = None  # None: LABEL_0, LABEL_1, ...

    def __post_init__(self) -> None:
        for name, least in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise SettingsError(f"{name} must be a whole number from {least}, found {value!r}.")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is None and name == "classifier_dropout":
                continue
            if type(value) not in (int, float) or not 0 <= value < 1:
                raise SettingsError(f"{name} must lie from 0 to below 1, found {value!r}.")
        if self.pad_token_id is not None and self.pad_token_id not in range(self.vocab_size):
            raise SettingsError(
                f"pad_token_id must be an id below vocab_size {self.vocab_size} or None, "
                f"found {self.pad_token_id!r}."
            )
        if self.hidden_act not in ACTIVATIONS:
            raise SettingsError(
                f"hidden_act must be one of {', '.join(ACTIVATIONS)}, found {self.hidden_act!r}."
            )
        if self.hidden_size % self.num_attention_heads:
            raise SettingsError(
                f"hidden_size {self.hidden_size} cannot be split among num_attention_heads "
                f"{self.num_attention_heads}: choose a width that the number of heads divides."
            )
        if self.id2label is not None and sorted(self.id2label) != list(range(self.num_labels)):
            raise SettingsError(
                f"id2label names the classes {sorted(self.id2label)}, but num_labels is "
                f"{self.num_labels}: name each of the classes 0 to {self.num_labels - 1} once."
            )

    @property
    def head_size(self) -> int:
        """H, the width of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def label_names(self) -> list[str]:
        """The C class names in the order of the logits."""
        names = self.id2label or {}
        return [names.get(i, f"LABEL_{i}") for i in range(self.num_labels)]

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """2 layers, 128 wide: 4.4 million parameters with the English vocabulary."""
        return cls._of_size(2, 128, **changes)

    @classmethod
    def mini(cls, **changes: Any) -> Self:
        """4 layers, 256 wide: 11.2 million parameters with the English vocabulary."""
        return cls._of_size(4, 256, **changes)

    @classmethod
    def small(cls, **changes: Any) -> Self:
        """4 layers, 512 wide: 28.8 million parameters with the English vocabulary."""
        return cls._of_size(4, 512, **changes)

    @classmethod
    def medium(cls, **changes: Any) -> Self:
        """8 layers, 512 wide: 41.4 million parameters with the English vocabulary."""
        return cls._of_size(8, 512, **changes)

    @classmethod
    def base(cls, **changes: Any) -> Self:
        """12 layers, 768 wide: 109.5 million parameters with the English vocabulary."""
        return cls._of_size(12, 768, **changes)

    @classmethod
    def large(cls, **changes: Any) -> Self:
        """24 layers, 1024 wide: 335.1 million parameters with the English vocabulary."""
        return cls._of_size(24, 1024, **changes)

    @classmethod
    def _of_size(cls, layers: int, width: int, **changes: Any) -> Self:
        # In all of Google's models a head is 64 wide and the feed-forward block four times D.
        sizes = {
            "num_hidden_layers": layers,
            "hidden_size": width,
            "num_attention_heads": width // 64,
            "intermediate_size": 4 * width,
        }
        return cls(**{**sizes, **changes})

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes: Any) -> Self:
        """Read `folder/config.json`; keyword arguments replace fields of the file.

        Changing `num_labels` without `id2label` drops the file's class names. Raises
        CheckpointError when the file is absent, not JSON, or describes another architecture.
        """
        path = Path(folder) / CONFIG_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path} does not exist: a model folder needs config.json beside its weights."
            ) from None
        except (ValueError, OSError) as error:
            raise CheckpointError(
                f"{path} cannot be read as JSON ({error}): copy or download the file again."
            ) from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} holds no JSON object: copy or download the file again.")
        _refuse_other_architectures(values, path)
        known = {field.name for field in fields(cls)}
        chosen = {name: value for name, value in values.items() if name in known}
        if chosen.get("id2label"):
            try:
                chosen["id2label"] = {int(i): str(n) for i, n in chosen["id2label"].items()}
            except (AttributeError, ValueError):
                raise CheckpointError(
                    f'{path}: id2label must look like {{"0": "negative", "1": "positive"}}, '
                    f"found {chosen['id2label']!r}: mend or remove the entry."
                ) from None
            chosen["num_labels"] = len(chosen["id2label"])
        if "num_labels" in changes and changes["num_labels"] != chosen.get("num_labels"):
            chosen.pop("id2label", None)
        try:
            return cls(**{**chosen, **changes})
        except SettingsError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The content of config.json as plain values, with `model_type` and label tables."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["num_labels"]  # Hugging Face derives it from id2label
        labels = self.label_names
        values["id2label"] = {str(i): name for i, name in enumerate(labels)}
        values["label2id"] = {name: i for i, name in enumerate(labels)}
        return {"model_type": "bert", **values}


def _refuse_other_architectures(values: dict[str, Any], path: Path) -> None:
    expected = {
        "model_type": "bert",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }
    for name, wanted in expected.items():
        if values.get(name, wanted) != wanted:
            raise CheckpointError(
                f"{path}: {name} is {values[name]!r}, but this BERT needs {wanted!r}: load the "
                "folder with transformers.AutoModel instead."
            )
