"""How fast texts get their labels: `transformers.pipeline` and `Classifier.predict`.

One classifier, saved and opened by both. The sides take turns in one process, on the same texts.
"""

import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from companion.classification.classifier import Classifier
from companion.classification.encoders import load_encoder
from companion.data import load_dataset

Row = dict[str, Any]
Labels = Callable[[list[str]], list[str]]


def prediction_rows(
    data: str = "thucnews-titles",
    *,
    rows: int = 2000,
    repeats: int = 3,
    model: str = "bilingual-mini",
    max_length: int = 64,
) -> list[Row]:
    """The rows of the table: the pipeline at its defaults, in batches, and this package.

    Args:
        data: what `load_dataset` takes; texts of its "test" split (else "train") are classified.
        rows: how many, at most.
        repeats: turns of all sides; medians are reported.
        model: the weights, under a head that is not trained: speed does not depend on it.
        max_length: tokens a text.

    Returns:
        A row a side with texts a second, their ratio to the first row (median over the turns),
        and the share of texts on whose label it agrees with the first.
    """
    splits = load_dataset(data)
    texts = splits["test" if "test" in splits else "train"]["text"][:rows]
    labels = splits["train"].features["label"].names
    encoder, tokenizer = load_encoder(model, labels)
    with tempfile.TemporaryDirectory() as folder:
        Classifier(encoder, tokenizer, max_length=max_length).save(folder)
        sides = open_sides(folder)
    said: dict[str, list[str]] = {}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for predict in sides.values():
        predict(texts[:32])  # the first call makes ready what later ones find
    for _ in range(repeats):
        for name, predict in sides.items():
            began = time.monotonic()
            said[name] = predict(texts)
            taken[name].append(time.monotonic() - began)
    first = next(iter(sides))
    return [
        {
            "side": name,
            "texts/s": len(texts) / median(taken[name]),
            "ratio": median(a / b for a, b in zip(taken[first], taken[name], strict=True)),
            "same label": sum(a == b for a, b in zip(said[first], said[name], strict=True))
            / len(texts),
            "runs": repeats,
        }
        for name in sides
    ]


def open_sides(folder: str) -> dict[str, Labels]:
    """Each side as a function from texts to labels."""
    from transformers import pipeline

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ask = pipeline("text-classification", model=folder, device=device)
    classifier = Classifier.load(folder)

    def with_pipeline(texts: list[str], **options: Any) -> list[str]:
        return [answer["label"] for answer in ask(texts, truncation=True, **options)]

    return {
        "pipeline, defaults": with_pipeline,
        "pipeline, batches of 64": lambda texts: with_pipeline(texts, batch_size=64),
        "companion": lambda texts: [answer.label for answer in classifier.predict(texts)],
    }
