"""The speed tables: bench."""

import json
from pathlib import Path
from typing import Annotated

import typer

from companion.cli.common import app, console


@app.command(
    epilog="Example:  companion bench fine-tuning --rows 1000 --repeats 1 --out bench.json"
)
def bench(
    table: Annotated[
        str | None,
        typer.Argument(
            help="fine-tuning, prediction, encoder, tokenizer or pretraining; by default all.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="What is read.", show_default="chnsenticorp")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Texts to use.", show_default=False)] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over them (fine-tuning).")] = None,
    repeats: Annotated[int | None, typer.Option(help="Runs of each side.", min=1)] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Where to start (fine-tuning, prediction).", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the rows as JSON.")] = None,
) -> None:
    """Print the speed tables of this machine; both sides of a row in one run."""
    from companion.bench import TABLES, as_table, machine, plan

    measured = {}
    for name, options in plan(
        table, data=data, rows=rows, epochs=epochs, repeats=repeats, model=model
    ).items():
        with console.status(f"measuring {name} …"):
            measured[name] = TABLES[name](**options)
        console.print(as_table(name, measured[name]))
    if out is not None:
        content = {"machine": machine(), "tables": measured}
        out.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
