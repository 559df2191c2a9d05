"""Which rows train, which choose the weights, which give the score."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict

from companion.data import load_dataset
from companion.errors import DataError

DEV_SHARE = 0.1


def as_splits(data: DatasetDict | Dataset | str | Path) -> DatasetDict:
    """Whatever the user has, as splits; `load_dataset` reads names and files."""
    if isinstance(data, str | Path):
        data = load_dataset(data)
    if isinstance(data, Dataset):
        data = DatasetDict({"train": data})
    if "train" not in data:
        raise DataError(f'There is no split "train" to learn from, only {", ".join(data)}.')
    missing = {"text", "label"} - set(data["train"].column_names)
    if missing:
        raise DataError(
            f"The training data has no column {' and '.join(sorted(missing))}, only "
            f"{', '.join(data['train'].column_names)}. Read it with companion.load_dataset."
        )
    return data


def class_names(data: DatasetDict) -> list[str]:
    """The names of the classes, in the order of the ClassLabel (or sorted, without one)."""
    feature = data["train"].features["label"]
    if isinstance(feature, ClassLabel):
        names = list(feature.names)
    else:
        names = sorted({str(label) for label in data["train"]["label"]})
    if len(names) < 2:
        raise DataError(
            f"There is only one class, {names[0] if names else 'none'!r}; "
            "a classifier needs texts of two or more."
        )
    return names


def with_dev_split(data: DatasetDict, seed: int) -> tuple[DatasetDict, list[str]]:
    """The data with a "dev" split: its own, or a tenth of "train", class by class.

    Copies of a text stay on one side, or dev would test memory. Where a tenth of the training
    texts is not even one, training goes without.
    """
    if "dev" in data:
        return data, []
    texts = data["train"]["text"][:]
    first_rows: dict[str, int] = {}
    for row, text in enumerate(texts):
        first_rows.setdefault(" ".join(text.split()), row)
    labels = np.asarray([str(label) for label in data["train"]["label"]])
    rows = np.fromiter(first_rows.values(), dtype=np.int64)
    rng = np.random.default_rng(seed)
    chosen: set[int] = set()
    for label in np.unique(labels):
        members = rng.permutation(rows[labels[rows] == label])
        chosen.update(members[: round(DEV_SHARE * len(members))].tolist())
    if not chosen:
        return data, ["There are too few texts to hold some out, so the last weights are kept."]
    held_out = [first_rows[" ".join(text.split())] in chosen for text in texts]
    dev = data["train"].select([i for i, held in enumerate(held_out) if held])
    train_split = data["train"].select([i for i, held in enumerate(held_out) if not held])
    note = f"No dev split: {len(dev):,} of the {len(texts):,} training texts were held out as dev."
    return DatasetDict({**data, "train": train_split, "dev": dev}), [note]


def choose_split(data: DatasetDict, split: str | None = None) -> str:
    """The split to score: the one asked for, else test, else dev, else the only one."""
    wanted = [split] if split else ["test", "dev", *(list(data) if len(data) == 1 else [])]
    for name in wanted:
        if name in data:
            return name
    raise DataError(
        f"The data has no split {' or '.join(map(repr, wanted))}, only {', '.join(data)}. "
        "Name the split to score."
    )


def fingerprint(splits: Mapping[str, Dataset]) -> str:
    """A digest of all texts and labels."""
    digest = hashlib.sha256()
    for name, rows in splits.items():
        digest.update(name.encode())
        for text, label in zip(rows["text"], rows["label"], strict=True):
            digest.update(f"{label}\0{text}\0".encode())
    return digest.hexdigest()[:16]
