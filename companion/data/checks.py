"""What is wrong with a data set, counted before any training (taught in chapters 11 and 20)."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Callable, Iterator

import numpy as np
from datasets import Dataset, DatasetDict

from companion.data.repeats import label_codes, repeats
from companion.data.report import LEVELS, QUANTILES, Finding, Report, SplitStats, graver, share
from companion.data.suspicious import suspicions

BATCH = 1000
IMBALANCE = 10  # times as many rows in the largest class as in the smallest
FEW_ROWS = 10  # in a class of train


def check_dataset(
    data: DatasetDict,
    *,
    count_tokens: Callable[[list[str]], list[int]] | None = None,
    max_length: int = 512,
    name: str = "",
) -> Report:
    """Report what training on `data` would stumble over.

    Args:
        data: splits with the columns `text` and `label` (ClassLabel), as from `load_dataset`
            (which leaves empty texts out unless it is told `keep_empty=True`).
        count_tokens: gives the number of tokens of each of some texts, special tokens included;
            without it lengths are in characters only.
        max_length: how many tokens the model reads; texts beyond it are counted.
        name: the title of the report.

    Returns:
        Sizes, label balance and lengths of each split, and the findings, the gravest first:
        texts shared between splits, the same text with two labels, duplicates, empty texts,
        broken encodings, leftover HTML, texts that are too long, small or missing classes.
    """
    stats = {}
    findings: list[Finding] = []
    for split, rows in data.items():
        characters, tokens = array("q"), array("q")
        findings += suspicions(split, _measured(rows, characters, tokens, count_tokens))
        if count_tokens is not None:
            findings += _too_long(split, tokens, max_length)
        stats[split] = SplitStats(
            len(rows),
            _label_counts(rows),
            _quantiles(characters),
            _quantiles(tokens) if count_tokens is not None else None,
        )
    findings += repeats(data)
    findings += _balance(stats)
    findings.sort(key=lambda finding: list(LEVELS).index(finding.level))
    return Report(name, stats, findings)


def _measured(
    rows: Dataset,
    characters: array[int],
    tokens: array[int],
    count_tokens: Callable[[list[str]], list[int]] | None,
) -> Iterator[str]:
    """The texts one by one, while their lengths are appended: a table is never held as a list."""
    for batch in rows.iter(BATCH):
        characters.extend(map(len, batch["text"]))
        if count_tokens is not None:
            tokens.extend(count_tokens(batch["text"]))
        yield from batch["text"]


def _label_counts(rows: Dataset) -> dict[str, int]:
    names = rows.features["label"].names
    counts = np.bincount(label_codes(rows), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def _quantiles(lengths: array[int]) -> dict[str, int]:
    values = np.quantile(lengths or [0], list(QUANTILES.values()), method="nearest")
    return dict(zip(QUANTILES, values.tolist(), strict=True))


def _too_long(split: str, tokens: array[int], max_length: int) -> Iterator[Finding]:
    if count := sum(length > max_length for length in tokens):
        yield Finding(
            graver(count, len(tokens), "warning", "note"),
            "too_long",
            split,
            count,
            f"Texts of more than {max_length} tokens: {count:,} of {len(tokens):,} rows of {split} "
            f"({share(count, len(tokens))}). The model reads their beginning only.",
        )


def _balance(stats: dict[str, SplitStats]) -> Iterator[Finding]:
    """Classes that are small, missing, or named almost alike; splits that are missing."""
    first, *_ = stats.values()
    alike: dict[str, list[str]] = {}
    for label in first.labels:
        alike.setdefault(unicodedata.normalize("NFKC", label).casefold(), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            rows = sum(s.labels[label] for s in stats.values() for label in labels)
            yield Finding(
                "warning",
                "similar_labels",
                "",
                rows,
                f"Labels that look alike: {', '.join(map(repr, labels))}. If they are one class, "
                "write them in one way.",
            )
    for split, s in stats.items():
        if missing := [label for label, count in s.labels.items() if not count]:
            yield Finding(
                "warning" if split == "train" else "note",
                "missing_classes",
                split,
                0,
                f"Classes without a row in {split}: {', '.join(missing)}.",
            )
    if (train := stats.get("train")) and (present := {k: n for k, n in train.labels.items() if n}):
        small, large = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
        if present[large] >= IMBALANCE * present[small]:
            yield Finding(
                "warning",
                "imbalance",
                "train",
                present[small],
                f"Imbalance: {small} has {present[small]:,} rows of train, {large} has "
                f"{present[large]:,}. Read macro-F1 beside accuracy, which always answering "
                f"{large} brings to {share(present[large], train.rows)}.",
            )
        if few := {label: n for label, n in present.items() if n < FEW_ROWS}:
            listed = ", ".join(f"{label} ({n})" for label, n in few.items())
            yield Finding(
                "warning",
                "few_rows",
                "train",
                sum(few.values()),
                f"Classes with fewer than {FEW_ROWS} rows of train: {listed}. A model can hardly "
                "learn them; collect more, or merge them.",
            )
    for split, use in (("dev", "choose the best epoch by"), ("test", "measure the result on")):
        if split not in stats:
            yield Finding("note", "no_split", split, 0, f"There is no {split} split to {use}.")
