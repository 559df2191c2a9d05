"""From a model and a table of long texts to a hierarchical classifier, in one call (chapter 14)."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict

from companion.classification.classifier import Classifier
from companion.classification.encoders import load_encoder
from companion.classification.fine_tune import (
    default_learning_rate,
    default_pieces,
    device_name,
    refuse_too_long,
)
from companion.classification.long_texts.hierarchical import HierarchicalClassifier
from companion.classification.long_texts.windows import WindowBatches
from companion.classification.metrics import Evaluation, score_logits, watched_scores
from companion.classification.result import Result, finished_run, save_run
from companion.classification.splits import as_splits, class_names, with_dev_split
from companion.errors import SettingsError
from companion.training import TrainSettings, train

TOKENS_A_PIECE = 1600
MOST_WINDOWS = 16  # of a text in training: beyond, its activations fill the memory


def fine_tune_windows(
    model: str | Path,
    data: DatasetDict | Dataset | str | Path,
    *,
    pooling: str = "attention",
    max_length: int = 256,
    stride: int | None = None,
    max_windows: int | None = MOST_WINDOWS,
    out: str | Path | None = None,
    learning_rate: float | None = None,
    progress: bool = True,
    **settings: Any,
) -> HierarchicalClassifier:
    """Train encoder, pooling and head on the windows of whole texts.

    Args:
        model: as in `fine_tune`. The folder of a classifier is a good start: with its head, it
            knows the task from single windows already.
        data: as in `fine_tune`.
        pooling: "mean", "max" or "attention".
        max_length: tokens of a window, special ones included.
        stride: tokens that neighbouring windows share; by default a quarter of a window.
        max_windows: of a text with more, so many are read, evenly spread; None reads all.
        out: folder for the classifier, metrics.json, history.csv and training_curves.png.
        learning_rate: peak; by default chosen for the model.
        settings: any other field of `TrainSettings`.

    Returns:
        A classifier that `load_classifier` opens; its `.result` holds the scores.

    Raises:
        SettingsError: an unknown or impossible setting, or `out` holds a run already.
        DataError: the table cannot be trained on.
        NotFoundError, CheckpointError: the model cannot be found or read.
    """
    if unknown := sorted(set(settings) - TrainSettings.names()):
        raise SettingsError(
            f"There is no setting {', '.join(unknown)}. There are: "
            f"{', '.join(sorted(TrainSettings.names()))}."
        )
    if out is not None:
        finished_run(Path(out), resume=False)  # refuses a folder that holds a run
    seed = settings.get("seed", TrainSettings.seed)
    data, notes = with_dev_split(as_splits(data), seed=seed)
    labels = class_names(data)
    encoder, tokenizer = load_encoder(model, labels, seed=seed)
    refuse_too_long(max_length, encoder.config)
    if learning_rate is None:
        learning_rate = default_learning_rate(str(model), encoder.config)
        notes.append(f"learning_rate {learning_rate:g}, as suits this model.")
    torch.manual_seed(seed)
    windowed = HierarchicalClassifier(
        Classifier(encoder, tokenizer, max_length=max_length),
        stride=stride,
        pooling=pooling,
        max_windows=max_windows,
    )
    ids = {name: windowed.token_ids(split["text"][:]) for name, split in data.items()}
    targets = {name: windowed.label_indices(split) for name, split in data.items()}
    batch_size = settings.get("batch_size", TrainSettings.batch_size)
    pieces = default_pieces(ids["train"], batch_size, tokens=TOKENS_A_PIECE, least_rows=2)
    settings.setdefault("gradient_accumulation_steps", pieces)
    run = TrainSettings(learning_rate=learning_rate, **settings)
    batches = WindowBatches(
        ids["train"],
        targets["train"],
        cutter=windowed.cutter,
        batch_size=run.batch_size,
        pad_token_id=tokenizer.pad_token_id,
        seed=run.seed,
    )

    def score(split: str) -> Evaluation:
        return score_logits(windowed.logits_of(ids[split]), targets[split], labels)

    windowed.history = train(
        windowed.model,
        batches,
        run,
        evaluate=(lambda _: watched_scores(score("dev"))) if "dev" in data else None,
        progress=progress,
    )
    seconds = [record["seconds"] for record in windowed.history.records]
    windowed.result = Result.of_run(
        data,
        score,
        model=str(model),
        settings={**asdict(run), "max_length": max_length, **windowed.settings()},
        truncated=0,
        seconds=seconds[-1] if seconds else 0.0,
        device=device_name(windowed.device),
        notes=tuple(notes),
    )
    if out is not None:
        save_run(windowed, Path(out))
    return windowed
