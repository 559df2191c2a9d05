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

Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what stopped in OUT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
