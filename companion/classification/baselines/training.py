"""What stood before BERT, trained in one call: the methods that it has to beat (chapter 2)."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict

from companion.classification.baselines.small_networks import (
    BiLstm,
    BiLstmConfig,
    SmallNetwork,
    TextCnn,
    TextCnnConfig,
    WordVectors,
    WordVectorsConfig,
)
from companion.classification.baselines.tfidf import ESTIMATORS, TfidfClassifier
from companion.classification.baselines.word_vocabulary import word_tokenizer
from companion.classification.classifier import Classifier
from companion.classification.encoders import label_settings, shipped_tokenizer
from companion.classification.fine_tune import device_name
from companion.classification.interface import TextClassifier, label_indices
from companion.classification.metrics import score_logits, watched_scores
from companion.classification.result import Result, save_run
from companion.classification.splits import as_splits, class_names, with_dev_split
from companion.errors import SettingsError
from companion.training import TrainSettings, train

LEAST_UPDATES = 400  # a small table is read more often, so that training gets somewhere
MOST_EPOCHS = 40
TFIDF_SETTINGS = ("grams", "min_texts", "strength", "seed")
NETWORK_SETTINGS = ("vocabulary", "vocabulary_size", "min_frequency", "max_length")


@dataclass(frozen=True)
class Network:
    """One of the small networks, and settings that suit it without tuning."""

    config: type[Any]
    model: Callable[[Any], SmallNetwork]
    settings: dict[str, Any] = field(default_factory=dict)


NETWORKS = {
    "word-vectors": Network(
        WordVectorsConfig, WordVectors, {"epochs": 5, "learning_rate": 3e-3, "batch_size": 64}
    ),
    "text-cnn": Network(
        TextCnnConfig, TextCnn, {"epochs": 5, "learning_rate": 2e-3, "batch_size": 64}
    ),
    "bilstm": Network(BiLstmConfig, BiLstm, {"epochs": 5, "learning_rate": 1e-3, "batch_size": 64}),
}
BASELINES = (*ESTIMATORS, *NETWORKS)


def train_baseline(
    name: str,
    data: DatasetDict | Dataset | str | Path,
    *,
    out: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> TextClassifier:
    """Train a classifier whose weights come from the "train" split alone.

    Args:
        name: "naive-bayes", "logistic-regression" or "linear-svm", on TF-IDF; "word-vectors",
            "text-cnn" or "bilstm", networks (see `tfidf` and `small_networks`).
        data: what `load_dataset` returns or takes. Without a "dev" split a tenth of "train" is
            held out, as in `fine_tune`; it chooses the weights of a network, and the scale of
            the SVM's probabilities. "test" is scored once, at the end.
        out: folder for the classifier and metrics.json, and for a network history.csv and
            training_curves.png.
        progress: show a progress bar.
        settings: on TF-IDF `grams`, `min_texts` and `strength` (see `TfidfClassifier.fit`).
            For a network any field of `TrainSettings` and of its config; `max_length`;
            `vocabulary`, "shipped" for the book's WordPiece or "words" of the training texts,
            with `vocabulary_size` and `min_frequency` for the second. `seed` for all.

    Returns:
        A classifier that `load_classifier` opens again; its `.result` holds the scores.

    Raises:
        SettingsError: an unknown name or setting, or `out` holds a run already.
        DataError: the table cannot be trained on.
    """
    if name not in BASELINES:
        raise SettingsError(f"There is no baseline {name!r}. There are: {', '.join(BASELINES)}.")
    refuse_unknown(name, settings)
    if out is not None and (Path(out) / "config.json").exists():
        raise SettingsError(f"{out} already holds a classifier. Give another folder.")
    seed = settings.get("seed", TrainSettings.seed)
    data, notes = with_dev_split(as_splits(data), seed=seed)
    began = time.perf_counter()
    if name in ESTIMATORS:
        classifier, used = fit_tfidf(name, data, settings)
        truncated = 0
    else:
        classifier, used, truncated = train_network(name, data, settings, notes, progress)
    seconds = time.perf_counter() - began
    classifier.result = Result.of_run(
        data,
        lambda split: classifier.evaluate(data[split]),
        model=name,
        settings=used,
        truncated=truncated,
        seconds=seconds,
        device=device_name(getattr(classifier, "device", torch.device("cpu"))),
        notes=tuple(notes),
    )
    if out is not None:
        save_run(classifier, Path(out))
    return classifier


def fit_tfidf(
    name: str, data: DatasetDict, settings: dict[str, Any]
) -> tuple[TextClassifier, dict[str, Any]]:
    """One of the linear methods on TF-IDF, and the settings that were used."""
    labels = class_names(data)
    options = {key: value for key, value in settings.items() if key != "seed"}
    texts = {split: rows["text"][:] for split, rows in data.items()}
    targets = {split: label_indices(rows, labels) for split, rows in data.items()}
    held_out = (texts["dev"], targets["dev"]) if "dev" in data else None
    found = TfidfClassifier.fit(
        name, texts["train"], targets["train"], labels, held_out=held_out, **options
    )
    return found, {**settings, "grams": found.grams, "features": len(found.weight)}


def train_network(
    name: str, data: DatasetDict, settings: dict[str, Any], notes: list[str], progress: bool
) -> tuple[Classifier, dict[str, Any], int]:
    """One of the small networks, the settings that were used, and how many texts were cut."""
    network, labels = NETWORKS[name], class_names(data)
    given = {**network.settings, **settings}
    if "epochs" not in settings:
        updates = math.ceil(len(data["train"]) / given["batch_size"])
        enough = math.ceil(LEAST_UPDATES / updates)
        given["epochs"] = min(MOST_EPOCHS, max(given["epochs"], enough))
        notes.append(f"{given['epochs']} epochs, as suits {len(data['train']):,} training texts.")
    run = TrainSettings(**{k: v for k, v in given.items() if k in TrainSettings.names()})
    max_length = given.get("max_length", 256)
    texts = data["train"]["text"][:]
    tokenizer = make_tokenizer(texts, given, max_length)
    torch.manual_seed(run.seed)
    sizes = {k: v for k, v in settings.items() if k in config_fields(network.config)}
    model = network.model(
        network.config(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            max_position_embeddings=max_length,
            **label_settings(labels),
            **sizes,
        )
    )
    classifier = Classifier(model, tokenizer, max_length=max_length)
    targets = {split: classifier.label_indices(rows) for split, rows in data.items()}
    encoded = classifier.encode(texts)
    dev = classifier.encode(data["dev"]["text"][:]) if "dev" in data else None

    def on_dev(_: torch.nn.Module) -> dict[str, float]:
        assert dev is not None
        return watched_scores(score_logits(classifier.logits_of(dev), targets["dev"], labels))

    classifier.history = train(
        model,
        classifier.batches(
            encoded, targets["train"], batch_size=run.batch_size, shuffle=True, seed=run.seed
        ),
        run,
        evaluate=on_dev if dev is not None else None,
        progress=progress,
    )
    if encoded.truncated:
        notes.append(
            f"{encoded.truncated:,} training texts are longer than {max_length} tokens and lost "
            "their end."
        )
    used = {**asdict(run), **sizes, "max_length": max_length, "vocab_size": len(tokenizer)}
    return classifier, used, encoded.truncated


def make_tokenizer(texts: list[str], given: dict[str, Any], max_length: int) -> Any:
    """The shipped WordPiece, or the words of the training texts.

    On the dev texts of SST-2 and ChnSentiCorp neither was better beyond chance; the shipped one
    has a token for the pieces of a word that it never met.
    """
    if max_length < 3:
        raise SettingsError(f"max_length is {max_length}; it must be 3 or more.")
    kind = given.get("vocabulary", "shipped")
    if kind == "shipped":
        return shipped_tokenizer()
    if kind != "words":
        raise SettingsError(f'vocabulary is {kind!r}; it is "words" or "shipped".')
    # In few texts most words occur once, and still tell something.
    least = given.get("min_frequency", 2 if len(texts) >= 1000 else 1)
    size = given.get("vocabulary_size", 30_000)
    return word_tokenizer(texts, size=size, min_frequency=least, max_length=max_length)


def refuse_unknown(name: str, settings: dict[str, Any]) -> None:
    """A typing error in a setting is told before anything is read."""
    known = set(TFIDF_SETTINGS)
    if name in NETWORKS:
        known = {*NETWORK_SETTINGS, *TrainSettings.names(), *config_fields(NETWORKS[name].config)}
    if unknown := sorted(set(settings) - known):
        raise SettingsError(
            f"{name} has no setting {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )


def config_fields(config: type[Any]) -> set[str]:
    """The sizes that a network's config adds to those of every config."""
    return set(config.__annotations__) - {"vocab_size", "pad_token_id", "max_position_embeddings"}
