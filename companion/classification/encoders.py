"""From a name to a model with a classification head, and its tokenizer.

A name is `bilingual-mini` (the package's own pretrained model), `mini` (the same sizes with random
weights), a folder in Hugging Face's format, an entry of the registry, or a hub id.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

# Transformers learns the names of the small networks, so that their folders open like any other.
from companion.classification.baselines import small_networks  # noqa: F401
from companion.data import locate_model
from companion.data.lookup import ASSETS
from companion.errors import CheckpointError

# What a fresh task adds to an encoder; everything else must come from the checkpoint.
HEAD_PARTS = ("classifier.", "score.", "pre_classifier.", "pooler.", "bert.pooler.", "classifier")


def load_encoder(
    name: str | Path, labels: Sequence[str], *, seed: int = 42
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model that scores `labels`, and the tokenizer that belongs to it.

    Args:
        name: see the module's docstring.
        labels: class names; their order is the order of the logits.
        seed: decides the random weights of the head (of everything, for `mini`).

    Raises:
        NotFoundError: no place of the lookup order holds the model.
        CheckpointError: the model is cut short, of other shapes, or of another vocabulary.
    """
    names = label_settings(labels)
    torch.manual_seed(seed)
    if str(name) == "mini":
        tokenizer = shipped_tokenizer()
        config = mini_config(tokenizer)
        config.update(names)
        return BertForSequenceClassification(config), tokenizer
    folder = locate_model(name)
    tokenizer = load_tokenizer(folder)
    model = load_weights(folder, **names)
    refuse_other_vocabulary(folder, model, tokenizer)
    return model, tokenizer


def tokenizer_of(name: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer alone, of a name as in `load_encoder`."""
    return shipped_tokenizer() if str(name) == "mini" else load_tokenizer(locate_model(name))


def label_settings(labels: Sequence[str]) -> dict[str, Any]:
    """The classes as a model's config stores them."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def shipped_tokenizer() -> PreTrainedTokenizerBase:
    """The package's own tokenizer: lower-cased WordPiece for Chinese and English."""
    return AutoTokenizer.from_pretrained(ASSETS)


def mini_config(tokenizer: PreTrainedTokenizerBase) -> BertConfig:
    """BERT-mini (Turc et al. 2019): 4 layers, 256 wide, 4 heads."""
    return BertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder."""
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder} has no tokenizer that can be read ({first_line(error)}). A model folder "
            "needs tokenizer.json, or vocab.txt with tokenizer_config.json."
        ) from error


def load_weights(folder: Path, **settings: Any) -> PreTrainedModel:
    """The encoder of a model folder under a head for `num_labels` classes."""
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, **settings)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                # A head for other classes is replaced; every other mismatch is refused below.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"The model in {folder} cannot be read: {first_line(error)}. Fetch it again, or give "
            "a folder with config.json and a whole model.safetensors."
        ) from error
    missing = [key for key in report["missing_keys"] if not key.startswith(HEAD_PARTS)]
    misshapen = [
        f"{key} is {tuple(found)} in the file and {tuple(expected)} by config.json"
        for key, found, expected in report["mismatched_keys"]
        if not key.startswith(HEAD_PARTS)
    ]
    if missing or misshapen:
        raise CheckpointError(
            f"The weights in {folder} do not fit its config.json. "
            + (f"Missing: {', '.join(sorted(missing)[:5])}. " if missing else "")
            + (f"Other shapes: {'; '.join(sorted(misshapen)[:5])}. " if misshapen else "")
            + "Both files must come from the same model."
        )
    return model


def refuse_other_vocabulary(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """A tokenizer whose ids the embedding table does not hold belongs to another model.

    Raises:
        CheckpointError: there are more tokens than embeddings, or the padding ids differ.
    """
    size = int(model.config.vocab_size)
    if len(tokenizer) > size:
        raise CheckpointError(
            f"The vocabulary in {folder} has {len(tokenizer):,} tokens, but the model only "
            f"{size:,} embeddings. Use the vocabulary the model was trained with."
        )
    wanted = model.config.pad_token_id
    if tokenizer.pad_token_id is None or (wanted is not None and wanted != tokenizer.pad_token_id):
        raise CheckpointError(
            f"The vocabulary in {folder} pads with id {tokenizer.pad_token_id}, but its "
            f"config.json says {wanted}. Use the vocabulary the model was trained with."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Loading reports and bars of transformers are held back; what matters is checked here."""
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
