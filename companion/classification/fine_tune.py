"""From a model and a table to a classifier, in one call (chapters 10 and 11)."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import PretrainedConfig

from companion.classification.classifier import Classifier, EncodedTexts
from companion.classification.encoders import load_encoder
from companion.classification.long_texts.truncation import LOST, check_truncation
from companion.classification.metrics import Evaluation, score_logits, watched_scores
from companion.classification.recipe import Recipe
from companion.classification.reinit import reinit_layers
from companion.classification.result import Result, finished_run, save_run
from companion.classification.splits import as_splits, class_names, with_dev_split
from companion.classification.threshold import best_margin, move_threshold
from companion.errors import SettingsError
from companion.training import TrainSettings, Watch, train

DEFAULT_LENGTH = 256
LEAST_UPDATES = 300  # a small table is read more often, so that training gets somewhere
MOST_EPOCHS = 20
TOKENS_A_PIECE = 800


def fine_tune(
    model: str | Path,
    data: DatasetDict | Dataset | str | Path,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    max_length: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    truncation: str = "head",
    watch: Watch | None = None,
    progress: bool = True,
    **settings: Any,
) -> Classifier:
    """Train a classifier on the "train" split, keep the weights that are best on "dev".

    Args:
        model: "bilingual-mini", "mini", a folder, a registry name or a hub id; see `encoders`.
        data: what `load_dataset` returns or takes. Without a "dev" split a tenth of "train" is
            held out. "test" is scored once, at the end, and decides nothing.
        out: folder for the classifier, history.csv, training_curves.png and metrics.json;
            while training, checkpoints too.
        resume: go on where a killed run in `out` stopped; the result is the same as of a run
            that was not killed.
        max_length: tokens per text, special ones included; by default 256, or fewer if the
            tokenizer says that the model was made for fewer.
        epochs: by default 3, and more for a small table.
        learning_rate: peak; by default chosen for the model (see `default_learning_rate`).
        truncation: what is read of a longer text, "head", "tail" or "head+tail".
        watch: called after each update with its number and the history so far; what it raises
            ends the training and passes through.
        progress: show a progress bar.
        settings: any other field of `TrainSettings`. `gradient_accumulation_steps` is chosen for
            the device and the texts (see `default_pieces`) when it is not given. And, off unless
            given: `layer_decay` and `average_weights` of `TrainSettings`; `label_smoothing`,
            `class_weights`, `r_drop` (see `losses`), `reinit_layers` (see `reinit`) and
            `threshold` (see `threshold`) of `Recipe`. "dev_loss" is the plain cross-entropy
            whatever the training minimises, so that runs can be compared.

    Returns:
        A `Classifier`; its `.history` holds the losses, its `.result` the scores.

    Raises:
        SettingsError: an unknown or impossible setting.
        DataError: the table cannot be trained on.
        NotFoundError, CheckpointError: the model cannot be found or read.
    """
    if out is not None and (finished := finished_run(Path(out), resume=resume)):
        return finished
    known = TrainSettings.names() | Recipe.names()
    if unknown := set(settings) - known:
        raise SettingsError(
            f"There is no setting {', '.join(sorted(unknown))}. There are: "
            f"{', '.join(sorted({*known, 'max_length', 'truncation'}))}."
        )
    # Settings are checked before anything is read: a typing error should not cost a minute.
    recipe = Recipe(**{k: settings.pop(k) for k in Recipe.names() & set(settings)})
    check_truncation(truncation)
    TrainSettings(epochs=1 if epochs is None else epochs, **settings)
    if learning_rate is not None:
        TrainSettings(learning_rate=learning_rate)
    data, notes = with_dev_split(as_splits(data), seed=settings.get("seed", 42))
    labels = class_names(data)
    recipe.refuse_unfit(labels, has_dev="dev" in data)
    batch_size = settings.get("batch_size", TrainSettings.batch_size)
    if epochs is None:
        epochs = default_epochs(len(data["train"]), batch_size)
        notes.append(f"{epochs} epochs, as suits {len(data['train']):,} training texts.")
    encoder, tokenizer = load_encoder(model, labels, seed=settings.get("seed", 42))
    reinit_layers(encoder, recipe.reinit_layers or 0, seed=settings.get("seed", 42))
    made_for = tokenizer.model_max_length
    max_length = min(DEFAULT_LENGTH, made_for) if max_length is None else max_length
    refuse_too_long(max_length, encoder.config)
    if max_length > made_for:
        notes.append(
            f"max_length is {max_length}, but the tokenizer says that the model was made for "
            f"{made_for} tokens; positions beyond may never have been trained."
        )
    if learning_rate is None:
        learning_rate = default_learning_rate(str(model), encoder.config)
        notes.append(f"learning_rate {learning_rate:g}, as suits this model.")
    classifier = Classifier(encoder, tokenizer, max_length=max_length, truncation=truncation)
    reading = {"max_length": max_length, "truncation": truncation}
    encoded = {name: classifier.encode(split["text"][:]) for name, split in data.items()}
    targets = {name: classifier.label_indices(split) for name, split in data.items()}
    settings.setdefault(
        "gradient_accumulation_steps", default_pieces(encoded["train"].input_ids, batch_size)
    )
    run = TrainSettings(epochs=epochs, learning_rate=learning_rate, **settings)
    batches = classifier.batches(
        encoded["train"], targets["train"], batch_size=run.batch_size, shuffle=True, seed=run.seed
    )

    def score(split: str) -> Evaluation:
        return score_logits(classifier.logits_of(encoded[split]), targets[split], labels)

    classifier.history = train(
        recipe.loss_around(encoder, targets["train"], len(labels)),
        batches,
        run,
        evaluate=(lambda _: watched_scores(score("dev"))) if "dev" in data else None,
        out=out,
        resume=resume,
        identity={
            "model": str(model),
            **reading,
            "training data": fingerprint(encoded["train"], targets["train"]),
            **asdict(recipe),
        },
        watch=watch,
        progress=progress,
    )
    if recipe.threshold:
        margin = best_margin(classifier.logits_of(encoded["dev"]), targets["dev"])
        move_threshold(encoder, margin)
        notes.append(
            f"{labels[1]!r} is called from a probability of {1 / (1 + math.exp(-margin)):.3f} on, "
            "which gives the best macro-F1 on dev; the head's bias is moved so that this is 0.5."
        )
    if encoded["train"].truncated:
        notes.append(
            f"{encoded['train'].truncated:,} training texts are longer than {max_length} tokens; "
            f"{LOST[truncation]}."
        )
    seconds = [record["seconds"] for record in classifier.history.records]
    classifier.result = Result.of_run(
        data,
        score,
        model=str(model),
        settings={**asdict(run), **asdict(recipe), **reading},
        truncated=encoded["train"].truncated,
        seconds=seconds[-1] if seconds else 0.0,
        device=device_name(classifier.device),
        notes=tuple(notes),
    )
    if out is not None:
        save_run(classifier, Path(out))
    return classifier


def default_epochs(rows: int, batch_size: int) -> int:
    """Three passes, and more where three would be less than `LEAST_UPDATES` updates."""
    updates_per_epoch = math.ceil(rows / batch_size)
    return min(MOST_EPOCHS, max(3, math.ceil(LEAST_UPDATES / updates_per_epoch)))


def default_learning_rate(model: str, config: PretrainedConfig) -> float:
    """The usual peak: the smaller the model, the higher; highest from random weights.

    Devlin et al. 2019 fine-tune BERT-base at 2e-5 to 5e-5, Turc et al. 2019 their miniatures
    at up to 3e-4.
    """
    if model == "mini":
        return 5e-4
    return 3e-4 if getattr(config, "hidden_size", 768) <= 512 else 3e-5


def default_pieces(
    input_ids: Sequence[np.ndarray],
    batch_size: int,
    *,
    tokens: int = TOKENS_A_PIECE,
    least_rows: int = 4,
) -> int:
    """Into how many pieces of similar length a processor should cut a batch.

    The gradient stays that of the whole batch, most of its padding goes. A GPU would rather
    have one large piece; a processor is content with `tokens` in one, and `least_rows` texts.
    """
    if torch.cuda.is_available():
        return 1
    in_batch = batch_size * float(np.mean([len(ids) for ids in input_ids]))
    return max(1, min(round(in_batch / tokens), batch_size // least_rows))


def refuse_too_long(max_length: int, config: PretrainedConfig) -> None:
    """A model reads no more positions than it has embeddings for."""
    limit = getattr(config, "max_position_embeddings", 512)
    if not 3 <= max_length <= limit:
        raise SettingsError(
            f"max_length is {max_length}; this model reads from 3 to {limit} tokens, the two "
            "special ones included."
        )


def fingerprint(encoded: EncodedTexts, targets: Sequence[int]) -> str:
    """A digest of the token ids and labels, in order."""
    digest = hashlib.sha256(np.asarray(targets, dtype=np.int64).tobytes())
    for ids in encoded.input_ids:
        digest.update(ids.tobytes())
        digest.update(b"|")
    return digest.hexdigest()[:16]


def device_name(device: torch.device) -> str:
    """What the run ran on, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
