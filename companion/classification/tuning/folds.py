"""Which texts are held out together: folds for cross-validation (chapter 13).

Every text is held out once. Each fold has the classes in the proportions of the whole (Kohavi
1995 calls this stratified), and copies of a text share a fold, for a model that has read a text
in training remembers the answer.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features
from sklearn.model_selection import StratifiedGroupKFold

from companion.classification.splits import class_names
from companion.errors import DataError, SettingsError


def stratified_folds(
    texts: Sequence[str], labels: Sequence[int], folds: int = 5, *, seed: int = 42
) -> np.ndarray:
    """The fold of each text.

    Args:
        texts: n texts; two are copies if they differ in white space only.
        labels: their n class indices.
        folds: how many parts, 2 or more.
        seed: decides which texts go together.

    Returns:
        int64 of shape (n,), from 0 to folds - 1. Scikit-learn's `StratifiedGroupKFold` deals out
        the texts; it comes close to equal proportions, and where a class has fewer distinct texts
        than there are folds, some folds lack it.

    Raises:
        SettingsError: `folds` is below 2.
        DataError: there are fewer distinct texts than folds.
    """
    if not isinstance(folds, int) or folds < 2:
        raise SettingsError(f"folds is {folds}; it must be a whole number from 2 up.")
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(" ".join(text.split()), len(numbers)) for text in texts]
    if len(numbers) < folds:
        raise DataError(
            f"There are {len(numbers)} distinct training texts, too few for {folds} folds."
        )
    fold_of = np.full(len(groups), -1, dtype=np.int64)  # (n,)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    largest = np.bincount(np.asarray(labels)).max()
    with warnings.catch_warnings():
        # `rare_classes` says the same in words of this package.
        warnings.filterwarnings("ignore", message="The least populated class")
        if largest < folds:
            raise DataError(
                f"No class has as many as {folds} training texts. Ask for {largest} folds or fewer."
            )
        for fold, (_, held_out) in enumerate(splitter.split(groups, labels, groups)):
            fold_of[held_out] = fold
    if len(np.unique(fold_of)) < folds:
        raise DataError(
            f"The copies among the training texts leave a fold empty; ask for fewer than {folds}."
        )
    return fold_of


def rare_classes(labels: Sequence[int], names: Sequence[str], folds: int) -> str | None:
    """A sentence on classes with fewer texts than folds; None if there are none."""
    counts = np.bincount(np.asarray(labels), minlength=len(names))
    rare = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < folds]
    if not rare:
        return None
    return f"Classes with fewer texts than folds, which some folds lack: {', '.join(rare[:5])}."


def with_class_labels(data: DatasetDict) -> DatasetDict:
    """The same splits, with a ClassLabel of all classes, so that a fold without one keeps it.

    Raises:
        DataError: a split has a label that "train" lacks.
    """
    names = class_names(data)
    if isinstance(data["train"].features["label"], ClassLabel):
        return data
    splits = {}
    for split, rows in data.items():
        found = [str(label) for label in rows["label"]]
        if unknown := sorted(set(found) - set(names)):
            raise DataError(f"The labels {', '.join(unknown[:5])} of {split} are not in train.")
        columns = {**rows.to_dict(), "label": [names.index(label) for label in found]}
        features = Features({**rows.features, "label": ClassLabel(names=names)})
        splits[split] = Dataset.from_dict(columns, features=features)
    return DatasetDict(splits)
