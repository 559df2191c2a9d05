"""What every model here can do: start at random, be read from a folder, be saved (chapter 6)."""

import logging
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from companion.errors import CheckpointError
from companion.model.config import BertConfig
from companion.model.vocabulary import check_folder_vocabulary
from companion.model.weights import load_weights, read_weights, write_folder

log = logging.getLogger(__name__)


class PretrainedModel(nn.Module):
    """Base of `BertModel` and of the models with a head, which hold it as `self.bert`.

    Attributes: `config`; `new_parameters`, the names that `from_pretrained` did not find in the
    folder and left at their random start.
    """

    new_parts: tuple[str, ...] = ()  # parts that may start at random beside a read body

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.new_parameters: list[str] = []
        self._fast = True

    @property
    def fast(self) -> bool:
        """True: padding-free and fused. False: the readable path (see `BertModel`)."""
        return getattr(self, "bert", self)._fast

    @fast.setter
    def fast(self, value: bool) -> None:
        getattr(self, "bert", self)._fast = value

    def num_parameters(self) -> int:
        """Numbers that training can change; a tied matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def initialize_weights(self, *modules: nn.Module) -> None:
        """Matrices from a normal distribution around 0, biases 0 (Devlin et al. 2019, code)."""
        for module in (inner for outer in modules for inner in outer.modules()):
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.normal_(0.0, self.config.initializer_range)
            if isinstance(module, nn.Linear):
                module.bias.zero_()
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, new_head: bool = False, **changes: Any) -> Self:
        """Read a Hugging Face folder: config.json and safetensors, in one file or in shards.

        Args:
            folder: may hold a checkpoint of another task; its head is then left out. A vocab.txt
                or tokenizer.json in it must fit (see `check_vocabulary`).
            new_head: do not read the folder's classifier, begin a new one.
            changes: fields of `BertConfig` to replace, such as `num_labels=10`.

        Returns the model in float32, in eval mode. Where the folder has no classifier or pooler
        and the class needs one, it starts at random and a warning says so; every other
        difference raises CheckpointError.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder: give the folder of a saved model.")
        config = BertConfig.from_pretrained(folder, **changes)
        check_folder_vocabulary(folder, config)
        weights = read_weights(folder)
        if new_head:
            weights = {k: v for k, v in weights.items() if not k.startswith("classifier.")}
        model = cls(config)
        model.new_parameters = load_weights(model, weights, folder, cls.new_parts)
        if model.new_parameters:
            log.warning(
                "%s has no %s: it starts at random, so train before you trust its output.",
                folder,
                ", ".join(model.new_parameters),
            )
        return model.eval()

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | None = None,
        max_shard_size: str = "5GB",
    ) -> None:
        """Write config.json and safetensors that this package and `transformers` load.

        Args:
            folder: made if need be; other files in it stay.
            dtype: of the stored numbers, e.g. torch.float16 for half the size; None: as they are.
            max_shard_size: more than this is split into several files with an index.

        A kill or a full disk in the middle leaves the former content readable; the latter
        raises CheckpointError.
        """
        weights = {
            name: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
            for name, tensor in self.state_dict().items()
        }
        config = {"architectures": [type(self).__name__], **self.config.to_dict()}
        write_folder(Path(folder), config, weights, max_shard_size)
