"""A table of texts and labels as a `datasets.DatasetDict` (taught in chapters 1, 11 and 20).

`load_dataset` takes a name of the registry, a file, or a folder with one file a split, and
gives the splits `train`, `dev` and `test` with exactly two columns: `text`, and `label`, a
`ClassLabel` with the names of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets import DatasetDict

from companion.data.columns import Columns
from companion.data.lookup import find_entry, locate_dataset, unknown_dataset
from companion.data.readers import table_format
from companion.data.rows import SPLIT_NAMES, DataWarning, RowCollector
from companion.errors import DataError, SettingsError

__all__ = ["DataWarning", "load_dataset"]


def load_dataset(
    source: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str = "split",
    encoding: str = "utf-8",
    labels: Sequence[str] | None = None,
    keep_empty: bool = False,
) -> DatasetDict:
    """Load a registered data set, or a table of one's own.

    Args:
        source: a name of `companion.data.registry.DATASETS`; a CSV, TSV, JSONL or Parquet file
            (the text formats also packed with gzip); or a folder with a file for each split,
            such as train.csv, dev.csv and test.csv. The rows of a single file go to the splits
            that its column `split_column` names, all to train if it has no such column. `val`,
            `valid` and `validation` mean `dev`.
        text_column, label_column, split_column: the columns of a table of one's own.
        encoding: the encoding of its text files.
        labels: the names of the classes in their order, for a table that goes with a trained
            classifier. Such a table may lack train rows, and some of the classes.
        keep_empty: keep rows without text, so that `check_dataset` counts them. By default
            they are left out, with a `DataWarning` that says how many.

    Returns:
        The splits that are present, in the order train, dev, test; columns `text` (string) and
        `label` (ClassLabel). The classes of a table of one's own are sorted, as numbers if all
        of them are numbers.

    Raises:
        DataError: the table cannot be used; the sentence names file, line and remedy.
        NotFoundError: there is no such file, or no place holds the registered data set.
        SettingsError: an option that makes no sense here.
    """
    columns = Columns(text_column, label_column, split_column, split_column != "split")
    entry = find_entry(source)
    if entry is not None:
        if columns != Columns() or encoding != "utf-8":
            raise SettingsError(
                f"{entry.name} is a registered data set whose columns and encoding are known: "
                "leave these options out, or give the path of a file."
            )
        layout, paths = locate_dataset(entry)
        columns = Columns(
            layout.text_column,
            layout.label_column,
            "split" if entry.shipped else None,
            header=layout.header,
        )
        rows = RowCollector(labels or entry.label_names, keep_empty=keep_empty)
        rows.spellings = {str(number): name for number, name in enumerate(entry.label_names)}
        for part, file in zip(layout.files, paths, strict=True):
            rows.add(file, columns, "utf-8", part.split)
        return rows.dataset(entry.name)
    path = Path(source).expanduser()
    rows = RowCollector(labels, keep_empty=keep_empty)
    if path.is_dir():
        for split, file in _split_files(path).items():
            rows.add(file, replace(columns, split=None), encoding, split)
    elif path.exists():
        rows.add(path, columns, encoding, "train")
    else:
        raise unknown_dataset(source)
    return rows.dataset(str(path))


def _split_files(folder: Path) -> dict[str, Path]:
    """The table of each split in a folder: named train, dev (or val, validation) and test."""
    found: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or table_format(path) is None:
            continue
        split = SPLIT_NAMES.get(path.name.partition(".")[0].lower())
        if split is None:
            others.append(path.name)
        elif split in found:
            raise DataError(
                f"{folder} holds two tables for {split}: {found[split].name} and {path.name}. "
                "Remove one of them."
            )
        else:
            found[split] = path
    if not found:
        hint = f" To use {others[0]}, give its own path." if others else ""
        raise DataError(
            f"{folder} holds no table named after a split, such as train.csv, dev.csv or "
            f"test.csv.{hint}"
        )
    return found
