"""Honest scores for small tables, and better settings: cross-validate, search."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from companion.cli.common import AsJson, Quiet, Resume, Seed, app, console
from companion.cli.options import (
    BatchSize,
    DataArgument,
    Encoding,
    Epochs,
    LabelColumn,
    LearningRate,
    MaxLength,
    Model,
    SplitColumn,
    TextColumn,
    given,
    read_data,
)

if TYPE_CHECKING:
    from companion.classification.tuning.search_result import Search

SHOWN_TRIALS = 15


@app.command(
    "cross-validate",
    epilog="Examples:  companion cross-validate reviews.csv --out runs/folds      "
    "companion cross-validate reviews.csv --folds 10 --model linear-svm      "
    "companion cross-validate reviews.csv --out runs/folds --resume      "
    'companion predict runs/folds "Not bad at all."',
)
def cross_validate(
    data: DataArgument,
    folds: Annotated[int, typer.Option(help="Parts that the training texts are cut into.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the classifiers, the scores and all predictions."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="What --model of `companion train` takes, or a baseline's name."),
    ] = "bilingual-mini",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    seed: Seed = 42,
    resume: Resume = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a recipe on every training text, each by a model that has not seen it.

    OUT then holds an ensemble of the folds' classifiers, for predict and evaluate.
    """
    from companion.classification.tuning.cross_validation import cross_validate as run

    result = run(
        model,
        read_data(data, text_column, label_column, split_column, encoding),
        folds,
        out=out,
        resume=resume,
        seed=seed,
        progress=not quiet,
        **given(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
        ),
    )
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
        return
    table = Table(title=f"{len(result.folds)} folds of {len(result.true):,} training texts")
    for name in ("fold", "texts", "accuracy", "macro-F1"):
        table.add_column(name, justify="right")
    for number, fold in enumerate(result.folds, 1):
        table.add_row(
            str(number), f"{fold.count:,}", f"{fold.accuracy:.2%}", f"{fold.macro_f1:.2%}"
        )
    console.print(table)
    console.print(str(result), highlight=False, markup=False, soft_wrap=True)
    for note in result.notes:
        console.print(note, style="dim", highlight=False, markup=False)
    if out is not None:
        console.print(f"Saved in {out}: an ensemble of the folds, and out_of_fold.csv")
        console.print(f'Try it:  companion predict {out} "…"', highlight=False)


@app.command(
    epilog="Examples:  companion search reviews.csv --minutes 30 --out runs/search      "
    "companion search reviews.csv --minutes 60 --out runs/search --resume      "
    "companion search sst2 --minutes 120 --metric macro_f1 --batch-size 32 --out runs/search"
)
def search(
    data: DataArgument,
    minutes: Annotated[
        float, typer.Option(help="The budget, over all parts of a search that is resumed.")
    ] = 30.0,
    trials: Annotated[
        int | None, typer.Option(help="End after so many, though minutes are left.")
    ] = None,
    metric: Annotated[str, typer.Option(help="accuracy or macro_f1, on dev.")] = "accuracy",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all trials, a plot, and the best classifier."),
    ] = None,
    model: Model = "bilingual-mini",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    seed: Seed = 42,
    resume: Resume = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Try settings for a number of minutes, and print the command that trains with the best.

    Rate, epochs, batch size and regularisers are searched, but for those given here. The test
    split is not looked at.
    """
    from companion.classification.tuning.search import search as run

    result = run(
        model,
        read_data(data, text_column, label_column, split_column, encoding),
        minutes,
        trials=trials,
        metric=metric,
        out=out,
        resume=resume,
        seed=seed,
        progress=not quiet and (sys.stderr.isatty() or not as_json),
        **given(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
        ),
    )
    columns = {
        "--text-column": (text_column, "text"), "--label-column": (label_column, "label"),
        "--split-column": (split_column, "split"), "--encoding": (encoding, "utf-8"),
    }  # fmt: skip
    command = result.command(
        data, columns={flag: value for flag, (value, usual) in columns.items() if value != usual}
    )
    if as_json:
        answer = {"settings": result.settings, "command": command, "trials": result.table()}
        print(json.dumps(answer, ensure_ascii=False))
        return
    for note in result.notes:
        console.print(note, style="dim", highlight=False, markup=False)
    console.print(as_table(result))
    console.print(result.advice(), highlight=False, markup=False, soft_wrap=True)
    if out is not None:
        console.print(f"Saved in {out}: search.png, trials.csv, best.json, and the best classifier")
        console.print(f"Its score on test:  companion evaluate {out / 'best'} {data} --split test")
    console.print("The best settings as a command:")
    # A line that can be copied: no wrapping, no colours.
    console.print(command, highlight=False, markup=False, soft_wrap=True)


def as_table(result: "Search") -> Table:
    """The best trials as the terminal shows them."""
    from companion.classification.tuning.search_result import brief

    rows = result.table()
    table = Table(title=f"{len(rows)} trials of {result.model}; {result.metric} on dev")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="left" if name == "state" else "right")
    for row in rows[:SHOWN_TRIALS]:
        shown = {**row, result.metric: _percent(row[result.metric])}
        table.add_row(*(brief(value) for value in shown.values()))
    if len(rows) > SHOWN_TRIALS:
        table.caption = f"and {len(rows) - SHOWN_TRIALS} more"
    return table


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
