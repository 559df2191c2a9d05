"""Texts that occur more than once: within a split, with two labels, or in two splits (chapter 11).

Two texts are the same if they differ in white space only. They are nearly the same if they
differ only in case, punctuation, width of characters (Unicode's NFKC) and white space.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from itertools import combinations
from typing import Literal

import numpy as np
from datasets import Dataset, DatasetDict

from companion.data.report import Finding, excerpt, graver, share
from companion.errors import SettingsError

BATCH = 1000


def drop_shared(data: DatasetDict, keep: Literal["train", "eval"] = "train") -> DatasetDict:
    """`data` without the texts that train shares with dev or test.

    Args:
        data: splits with the column `text`.
        keep: the side that keeps its rows. `train` takes the shared rows out of dev and test: a
            model trained on the full data can be scored again. `eval` takes them out of train:
            dev and test stay what published scores were measured on.

    Returns:
        The same splits, some with fewer rows. Texts that differ in white space only count as
        the same.

    Raises:
        SettingsError: `keep` is something else.
    """
    if keep not in ("train", "eval"):
        raise SettingsError(f"keep is 'train' or 'eval', found {keep!r}.")
    keys = {split: _TextKeys(rows) for split, rows in data.items()}
    result = DatasetDict(data)
    for split, k in keys.items():
        if (split == "train") == (keep == "train"):
            continue
        others = [keys[other].same for other in keys if (other == "train") != (split == "train")]
        shared = np.isin(k.same, np.concatenate([np.empty(0, np.int64), *others]))
        result[split] = data[split].select(np.delete(np.arange(len(data[split])), k.rows[shared]))
    return result


def repeats(data: DatasetDict) -> Iterator[Finding]:
    """Duplicates within each split, texts with two labels, texts that two splits share."""
    keys = {split: _TextKeys(rows) for split, rows in data.items()}
    for split, k in keys.items():
        yield from _duplicates(split, k)
    yield from _two_labels(list(keys.values()))
    for (first, a), (second, b) in combinations(keys.items(), 2):
        yield from _shared(first, a, second, b)


def label_codes(rows: Dataset) -> np.ndarray:
    """The labels of a split as integers; all at once, for a column is read row by row."""
    return np.array(rows.select_columns("label")[:]["label"], dtype=np.int64)


class _TextKeys:
    """A number for each text of a split (`same`, `near`) and the rows of these texts.

    Equal texts have equal numbers; empty texts have none. 64 bits instead of the texts keep a
    million rows small, and the chance that any two of a million texts are confused is 1 in
    37 million.
    """

    def __init__(self, rows: Dataset) -> None:
        kept, same, near = array("q"), array("q"), array("q")
        texts = (text for batch in rows.iter(BATCH) for text in batch["text"])
        for row, text in enumerate(texts):
            if text.strip():
                kept.append(row)
                same.append(hash(" ".join(text.split())))
                near.append(_near(text))
        self.data = rows
        self.rows = np.array(kept, dtype=np.int64)
        self.same = np.array(same, dtype=np.int64)
        self.near = np.array(near, dtype=np.int64)

    def examples(self, chosen: np.ndarray) -> tuple[str, ...]:
        """The first two different texts among the chosen ones."""
        _, first = np.unique(self.same[chosen], return_index=True)
        rows = self.rows[chosen][np.sort(first)[:2]]
        return tuple(excerpt(self.data[int(row)]["text"]) for row in rows)


def _near(text: str) -> int:
    # Punctuation goes first: without it most Chinese text needs no normalisation, the slow part.
    letters = re.sub(r"[\W_]+", "", text)
    return hash(unicodedata.normalize("NFKC", letters or text).casefold())


def _duplicates(split: str, k: _TextKeys) -> Iterator[Finding]:
    distinct, counts = np.unique(k.same, return_counts=True)
    near = len(distinct) - len(np.unique(k.near))
    if count := len(k.same) - len(distinct):
        use = "training" if split == "train" else "the score"
        yield Finding(
            graver(count, len(k.same), "warning", "note"),
            "duplicates",
            split,
            count,
            f"Repeats: {count:,} of {len(k.same):,} rows of {split} ({share(count, len(k.same))}) "
            f"have the text of an earlier row{_more(near)}. They count more than once in {use}.",
            k.examples(np.isin(k.same, distinct[counts > 1])),
            {"distinct": len(distinct), "near": near},
        )


def _two_labels(keys: list[_TextKeys]) -> Iterator[Finding]:
    same = np.concatenate([k.same for k in keys])
    labels = np.concatenate([label_codes(k.data)[k.rows] for k in keys])
    order = np.lexsort([labels, same])
    same, labels = same[order], labels[order]
    contradicted = np.unique(same[1:][(same[1:] == same[:-1]) & (labels[1:] != labels[:-1])])
    if rows := int(np.isin(same, contradicted).sum()):
        holder = next(k for k in keys if np.isin(k.same, contradicted).any())
        yield Finding(
            graver(rows, len(same), "warning", "note"),
            "two_labels",
            "",
            rows,
            f"Texts with more than one label: {len(contradicted):,}, in {rows:,} rows of all "
            "splits. No model can be right about all of them; read them and decide.",
            holder.examples(np.isin(holder.same, contradicted)),
            {"distinct": len(contradicted)},
        )


def _shared(first: str, a: _TextKeys, second: str, b: _TextKeys) -> Iterator[Finding]:
    """Texts of split b that split a holds, too."""
    rows, near_rows = np.isin(b.same, a.same), np.isin(b.near, a.near) | np.isin(b.same, a.same)
    if not near_rows.any():
        return
    count = int(rows.sum())
    details = {
        "distinct": len(np.unique(b.same[rows])),
        "distinct_of_split": len(np.unique(b.same)),
        f"rows_of_{first}": int(np.isin(a.same, b.same).sum()),
        "near_distinct": len(np.unique(b.same[near_rows])),
        "near_rows": int(near_rows.sum()),
    }
    level = graver(count, len(b.same), "error", "warning") if count else "note"
    remedy = f"The score on {second} measures memory, too: give it also after drop_shared."
    if first != "train":
        level = "warning" if count else "note"
        remedy = f"What was chosen on {first} looks better on {second} than it is."
    yield Finding(
        level,
        "shared_texts",
        second,
        count,
        f"Shared texts: {details['distinct']:,} of {details['distinct_of_split']:,} distinct texts "
        f"of {second} ({count:,} of {len(b.same):,} rows, {share(count, len(b.same))}) are also "
        f"in {first}{_more(details['near_distinct'] - details['distinct'])}. {remedy}",
        b.examples(rows if count else near_rows),
        details,
    )


def _more(near: int) -> str:
    return f", {near:,} more but for case, punctuation or width" if near else ""
