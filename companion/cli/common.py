"""What the groups of commands share: the app itself, and where they print."""

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    help="Chinese and English text classification with BERT, from a table to a classifier.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
