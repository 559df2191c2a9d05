"""What a run recorded: one row per update, one per evaluation, as CSV and as a table."""

import csv
import io
from pathlib import Path
from typing import Any

from companion.training.checkpoints import write_atomically

Record = dict[str, Any]


class History:
    """Rows of a run, in order.

    A row of kind "train" has `step`, `epoch`, `loss`, `learning_rate`, `grad_norm`,
    `tokens` and `seconds`; a row of kind "eval" has `step`, `epoch`, `seconds` and whatever
    the evaluation returned (`dev_loss`, `dev_accuracy`, ...).
    """

    def __init__(self, records: list[Record] | None = None) -> None:
        self.records: list[Record] = list(records or [])

    def add(self, kind: str, **values: Any) -> None:
        self.records.append({"kind": kind, **values})

    def __len__(self) -> int:
        return len(self.records)

    def rows(self, kind: str) -> list[Record]:
        """All rows of a kind, "train" or "eval"."""
        return [r for r in self.records if r["kind"] == kind]

    def column(self, name: str, kind: str = "train") -> list[Any]:
        """One column of the rows of a kind that have it."""
        return [r[name] for r in self.rows(kind) if name in r]

    @property
    def last_eval(self) -> Record:
        """The latest evaluation; empty when there was none."""
        rows = self.rows("eval")
        return rows[-1] if rows else {}

    def to_csv(self, path: str | Path) -> None:
        """Write all rows with the union of their columns."""
        columns = list(dict.fromkeys(key for record in self.records for key in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        write_atomically(Path(path), text.getvalue().encode())

    def to_frame(self) -> "Any":
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records)
