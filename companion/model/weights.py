"""The files of a Hugging Face folder: tensors by name, and the strict match (chapter 6).

safetensors only, never pickle. Names are brought into one form, so that checkpoints of all ages
fit: `gamma`/`beta` for a layer norm's `weight`/`bias`, with or without the prefix `bert.`.
"""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from companion.errors import CheckpointError
from companion.model.config import CONFIG_FILE

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
# Heads of other tasks that a checkpoint may carry and a model may leave unread.
_HEADS = {"pooler", "cls.predictions", "cls.seq_relationship", "classifier", "qa_outputs"}
# Counters that old versions of Hugging Face's BERT stored beside the parameters.
_NOT_WEIGHTS = {"embeddings.position_ids", "embeddings.token_type_ids"}
_TABLE = "embeddings.word_embeddings.weight"
_DECODER = "cls.predictions.decoder."


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors file, or of the shards that its index names.

    Raises CheckpointError for a folder without weights and for a damaged file.
    """
    if (folder / WEIGHTS_FILE).is_file():
        names = [WEIGHTS_FILE]
    elif (folder / INDEX_FILE).is_file():
        names = _shard_names(folder / INDEX_FILE)
    else:
        old = (folder / "pytorch_model.bin").is_file()
        raise CheckpointError(
            f"{folder} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}"
            + (
                ", only pytorch_model.bin, a pickle, which can run code when it is opened: load "
                "it with transformers and save it again."
                if old
                else ": give the folder of a saved model."
            )
        )
    weights: dict[str, Tensor] = {}
    for name in names:
        try:
            weights |= load_file(folder / name)
        except FileNotFoundError:
            raise CheckpointError(
                f"{folder / name} is missing, but {INDEX_FILE} names it: copy it there."
            ) from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{folder / name} is cut short or damaged ({error}): copy or download it again."
            ) from error
    return weights


def _shard_names(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{index} is no index of shards ({error!r}): copy or download it again."
        ) from error
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index} points outside its folder: {name!r}. Do not use it.")
    return names


def write_folder(
    folder: Path, config: Mapping[str, object], weights: dict[str, Tensor], max_shard_size: str
) -> None:
    """Write config.json and the weights so that a reader finds the old model or the new one.

    Every file is written under another name and renamed when it is complete. Raises
    CheckpointError when a file cannot be written; what was there before is then untouched.
    """
    shards = split_torch_state_dict_into_shards(
        weights,
        # Shards of a former save keep their names until the new index is in place.
        filename_pattern=f"model-{uuid.uuid4().hex[:8]}{{suffix}}.safetensors",
        max_shard_size=max_shard_size,
    )
    files = list(shards.filename_to_tensors)
    staged: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            staged[name] = folder / f".{name}.partial"
            tensors = {key: weights[key] for key in shards.filename_to_tensors[name]}
            save_file(tensors, staged[name], metadata={"format": "pt"})
        if shards.is_sharded:
            index = {"metadata": shards.metadata, "weight_map": shards.tensor_to_filename}
            staged[INDEX_FILE] = folder / f".{INDEX_FILE}.partial"
            staged[INDEX_FILE].write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        else:
            staged = {WEIGHTS_FILE: staged[files[0]]}
        staged[CONFIG_FILE] = folder / f".{CONFIG_FILE}.partial"
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        staged[CONFIG_FILE].write_text(text, encoding="utf-8")
        for path in staged.values():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        for name, path in staged.items():
            path.replace(folder / name)
        # What former saves left behind, finished or not.
        for pattern in ("model-*.safetensors", WEIGHTS_FILE, INDEX_FILE, ".model*.partial"):
            for path in folder.glob(pattern):
                if path.name not in staged:
                    path.unlink()
    except (OSError, SafetensorError) as error:
        for path in staged.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise CheckpointError(
            f"{folder} could not be written ({error}): free some space or choose another folder."
        ) from error


def load_weights(
    model: nn.Module, weights: Mapping[str, Tensor], source: Path, new_parts: Sequence[str]
) -> list[str]:
    """Copy tensors into the parameters of the same name and return the parameters left as new.

    Args:
        model: its parameters keep their dtype and device.
        weights: tensors by their name in the checkpoint.
        source: the folder, for the error.
        new_parts: heads such as "classifier" that may be absent from the checkpoint as a whole.

    Raises CheckpointError that lists missing, unexpected and misshapen names.
    """
    found = _canonical(weights, source)
    wanted = {name.removeprefix("bert."): p for name, p in model.state_dict().items()}
    parts = {_part(name) for name in wanted}
    absent = {part for part in new_parts if not any(_part(name) == part for name in found)}
    new = [name for name in wanted if _part(name) in absent]
    missing = [name for name in wanted if name not in found and name not in new]
    unexpected = [
        name for name in found if name not in wanted and _part(name) not in _HEADS - parts
    ]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(p.shape)}"
        for name, p in wanted.items()
        if name in found and found[name].shape != p.shape
    ]
    not_float = [n for n in wanted if n in found and not found[n].is_floating_point()]
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("misshapen", misshapen),
            ("not of a floating-point type", not_float),
        )
        if names
    ]
    if problems:
        raise CheckpointError(
            f"The weights in {source} do not fit {type(model).__name__}: {'; '.join(problems)}. "
            "Use the config.json that was saved with these weights, or the class that saved them"
            + (", or new_head=True for a new classifier." if "classifier" in parts else ".")
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            if name in found:
                parameter.copy_(found[name])
    return new


def _canonical(weights: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The tensors under the names that today's `BertModel` and its heads give them."""
    found = {}
    for name, tensor in weights.items():
        name = name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias")
        if name not in _NOT_WEIGHTS:
            found[name] = tensor
    # The decoder is the token table; a file may store it under either name, or under both.
    bias, decoder = found.pop(_DECODER + "bias", None), found.pop(_DECODER + "weight", None)
    if bias is not None:
        found.setdefault("cls.predictions.bias", bias)
    if decoder is not None and not torch.equal(found.setdefault(_TABLE, decoder), decoder):
        raise CheckpointError(
            f"The weights in {source} have a decoder of their own, other than the token table: "
            "this BERT ties the two. Load the folder with transformers instead."
        )
    return found


def _part(name: str) -> str:
    """The part of the model that a parameter belongs to, such as "encoder" or "classifier"."""
    return ".".join(name.split(".")[: 2 if name.startswith("cls.") else 1])
