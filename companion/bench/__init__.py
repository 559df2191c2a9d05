"""The speed tables: both sides of each row in one run, on the machine that prints them.

Taught in chapter 17.
"""

import os
import platform
from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from rich.table import Table

from companion.bench.encoder import encoder_rows
from companion.bench.fine_tuning import fine_tuning_rows
from companion.bench.prediction import prediction_rows
from companion.bench.pretraining import pretraining_rows
from companion.bench.tokenizer import tokenizer_rows
from companion.errors import SettingsError

TABLES: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "fine-tuning": fine_tuning_rows,
    "prediction": prediction_rows,
    "encoder": encoder_rows,
    "tokenizer": tokenizer_rows,
    "pretraining": pretraining_rows,
}


def plan(table: str | None, **options: Any) -> dict[str, dict[str, Any]]:
    """The options of each table to measure: of the named one, else of all.

    An option that is None is left to the table. Raises SettingsError, before anything is
    measured, for a table that there is not or an option that a table does not have.
    """
    if table is not None and table not in TABLES:
        raise SettingsError(f"There is no table {table}; there are {', '.join(TABLES)}.")
    given = {name: value for name, value in options.items() if value is not None}
    names = [table] if table else list(TABLES)
    for name in names:
        known = signature(TABLES[name]).parameters
        if unknown := sorted(set(given) - set(known)):
            raise SettingsError(
                f"The table {name} has no option {', '.join(unknown)}. Name a table that has: "
                + ", ".join(t for t in TABLES if {*unknown} <= {*signature(TABLES[t]).parameters})
            )
    return {name: dict(given) for name in names}


def machine() -> str:
    """What the numbers were measured on, for the line under the table."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        name = torch.cpu.get_capabilities().get("cpu_name", platform.machine())
        device = f"{name}, {os.cpu_count()} cores"
    return f"{device}; torch {torch.__version__.partition('+')[0]}"


def as_table(title: str, rows: list[dict[str, Any]]) -> Table:
    """The rows for a terminal, under the machine's name."""
    columns = [name for name, value in rows[0].items() if not isinstance(value, list)]
    table = Table(title=title, caption=machine())
    for column in columns:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    return table


def _shown(value: Any) -> str:
    """Four digits that count, and thousands in full: 1.147, 19,926."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
