"""Which model to take for a table: compare."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from companion.cli.common import AsJson, Quiet, Resume, Seed, app, console
from companion.cli.options import (
    DataArgument,
    Encoding,
    LabelColumn,
    SplitColumn,
    TextColumn,
    read_data,
)

if TYPE_CHECKING:
    from companion.classification import Comparison


@app.command(
    epilog="Examples:  companion compare reviews.csv --out runs/compare      "
    "companion compare reviews.csv --models linear-svm,bilingual-mini      "
    "companion compare sst2 --test-split dev --models naive-bayes,text-cnn --json      "
    "companion predict runs/compare/models/linear-svm"
)
def compare(
    data: DataArgument,
    models: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between: naive-bayes, logistic-regression, linear-svm, "
            "word-vectors, text-cnn, bilstm, and whatever --model of `companion train` takes.",
            show_default="all of these, and bilingual-mini",
        ),
    ] = None,
    test_split: Annotated[
        str | None,
        typer.Option(
            help="The split that gives the scores.",
            show_default="test, else dev, else a fifth of train",
        ),
    ] = None,
    keep_shared: Annotated[
        bool, typer.Option("--keep-shared", help="Score texts that are also in train, too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the classifiers, comparison.json and comparison.png."),
    ] = None,
    resume: Resume = False,
    seed: Seed = 42,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train several models on the same texts; say which is best, and which to take for what."""
    from companion.classification import compare as run
    from companion.classification.comparison.compare import DEFAULT_MODELS

    names = (
        DEFAULT_MODELS if models is None else [n.strip() for n in models.split(",") if n.strip()]
    )
    result = run(
        read_data(data, text_column, label_column, split_column, encoding),
        names,
        test_split=test_split,
        keep_shared=keep_shared,
        out=out,
        resume=resume,
        seed=seed,
        progress=not quiet and (sys.stderr.isatty() or not as_json),
    )
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
        return
    for note in result.notes:
        console.print(note, style="dim", highlight=False)
    console.print(as_table(result))
    for row in result.table():
        if row["failure"]:
            console.print(f"{row['model']} failed: {_plain(row['failure'])}", highlight=False)
    console.print(
        "p: McNemar's exact test against the best on the same texts, with Holm's correction. "
        "Below 0.05 the difference is more than luck.",
        style="dim",
        highlight=False,
    )
    console.print(result.advice(), highlight=False, soft_wrap=True)
    if out is not None:
        console.print(f"Saved in {out}: comparison.png, comparison.json, and each model")
        console.print(
            f'Try it:  companion predict {out / "models" / result.best.model} "…"', highlight=False
        )


def as_table(result: "Comparison") -> Table:
    """The table as the terminal shows it."""
    table = Table(
        title=f"{len(result.true):,} texts of {result.scored}, learned from "
        f"{result.rows['train']:,}; 95% intervals; {result.device}",
        box=SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    table.add_column("model", no_wrap=True)
    columns = ("accuracy", "macro-F1", "behind", "p", "train s", "texts/s", "MB")
    for name in columns:
        table.add_column(name, justify="right")
    for row in result.table():
        if row["failure"]:
            table.add_row(row["model"], "[red]failed[/]")
            continue
        table.add_row(
            row["model"],
            _percent(row, "accuracy"),
            _percent(row, "macro_f1"),
            *_behind(row),
            f"{row['train_seconds']:,.1f}",
            f"{row['texts_per_second']:,.0f}",
            f"{row['disk_bytes'] / 1e6:,.1f}",
        )
    return table


def _percent(row: dict[str, Any], name: str) -> str:
    # Two lines a row fit a terminal of 80 columns.
    low, high = row[f"{name}_interval"]
    return f"{100 * row[name]:.1f}\n{100 * low:.1f}–{100 * high:.1f}"


def _behind(row: dict[str, Any]) -> tuple[str, str]:
    if row["p"] is None:
        return "best", ""
    low, high = row["behind_interval"]
    points = f"{100 * row['behind_best']:.1f}\n{100 * low:.1f}–{100 * high:.1f}"
    return points, ("<0.001" if row["p"] < 0.001 else f"{row['p']:.3f}")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
