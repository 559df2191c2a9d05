"""The speed tables: both sides of each row in one run, on the machine that prints them.

Taught in chapter 17.
"""

import os
import platform
from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table

from companion.bench.fine_tuning import fine_tuning_rows

TABLES: dict[str, Callable[..., list[dict[str, Any]]]] = {"fine-tuning": fine_tuning_rows}


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
        table.add_column(column, justify="left" if column == "side" else "right")
    for row in rows:
        values = (row[column] for column in columns)
        table.add_row(*(f"{v:,.4g}" if isinstance(v, float) else str(v) for v in values))
    return table
