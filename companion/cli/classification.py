"""From a table to a classifier and its answers: check, train, predict, evaluate."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from companion.cli.common import AsJson, Quiet, Resume, app, console
from companion.cli.options import (
    DataArgument,
    Encoding,
    Epochs,
    LabelColumn,
    LearningRate,
    MaxLength,
    SplitColumn,
    TextColumn,
    given,
    read_data,
)
from companion.cli.recipe import (
    AverageWeights,
    ClassWeights,
    LabelSmoothing,
    LayerDecay,
    RDrop,
    ReinitLayers,
    Threshold,
    as_number,
    as_numbers,
)


@app.command(epilog="Example:  companion check reviews.csv --text-column review")
def check(
    data: DataArgument,
    model: Annotated[str, typer.Option(help="Whose tokens are counted.")] = "bilingual-mini",
    max_length: Annotated[int, typer.Option(help="Tokens per text that it will read.")] = 256,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a table, before any training."""
    from companion.classification.encoders import tokenizer_of
    from companion.data import check_dataset

    splits = read_data(data, text_column, label_column, split_column, encoding, keep_empty=True)
    tokenizer = tokenizer_of(model)
    report = check_dataset(
        splits,
        count_tokens=lambda texts: [len(ids) for ids in tokenizer(texts)["input_ids"]],
        max_length=max_length,
        name=data,
    )
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    else:
        console.print(report)


@app.command(
    epilog="Examples:  companion train reviews.csv --out runs/reviews      "
    "companion train sst2 --model google-bert/bert-base-uncased --out runs/sst2      "
    "companion train spam.csv --out runs/spam --class-weights balanced --threshold macro-f1      "
    "companion train few.csv --out runs/few --layer-decay 0.9 --average-weights auto      "
    "companion train reviews.csv --out runs/reviews --resume"
)
def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder for the classifier.", show_default=False)],
    model: Annotated[
        str,
        typer.Option(
            help="Where to start: bilingual-mini (the package's own pretrained BERT), mini (the "
            "same of random weights), a model folder, a registry name, or a hub id."
        ),
    ] = "bilingual-mini",
    epochs: Epochs = None,
    batch_size: Annotated[int, typer.Option(help="Texts per update.")] = 32,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    truncation: Annotated[
        str, typer.Option(help="What is read of a longer text: head, tail or head+tail.")
    ] = "head",
    warmup_ratio: Annotated[float, typer.Option(help="Share of updates with a rising rate.")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="AdamW's decay of matrices.")] = 0.01,
    layer_decay: LayerDecay = None,
    average_weights: AverageWeights = None,
    reinit_layers: ReinitLayers = None,
    label_smoothing: LabelSmoothing = None,
    r_drop: RDrop = None,
    class_weights: ClassWeights = None,
    threshold: Threshold = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        typer.Option(help="Pieces that a batch is cut into.", show_default="by length of texts"),
    ] = None,
    early_stopping_patience: Annotated[
        int | None, typer.Option(help="Evaluations without a gain before stopping.")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    seed: Annotated[int, typer.Option(help="Decides order, dropout and random weights.")] = 42,
    save_steps: Annotated[
        int | None, typer.Option(help="Updates between checkpoints.", show_default="each epoch")
    ] = None,
    resume: Resume = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    quiet: Quiet = False,
) -> None:
    """Fine-tune a classifier; writes the model, metrics.json, history.csv and a plot."""
    from companion.classification import fine_tune

    classifier = fine_tune(
        model,
        read_data(data, text_column, label_column, split_column, encoding),
        out=out,
        resume=resume,
        max_length=max_length,
        truncation=truncation,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        warmup_ratio=warmup_ratio,
        weight_decay=weight_decay,
        early_stopping_patience=early_stopping_patience,
        layer_decay=layer_decay,
        average_weights=as_number(average_weights),
        reinit_layers=reinit_layers,
        label_smoothing=label_smoothing,
        r_drop=r_drop,
        class_weights=as_numbers(class_weights),
        threshold=threshold,
        precision=precision,
        seed=seed,
        save_steps=save_steps,
        progress=not quiet,
        **given(gradient_accumulation_steps=gradient_accumulation_steps),
    )
    result = classifier.result
    if result is None or int(os.environ.get("RANK", "0")):
        return
    for note in result.notes:
        console.print(note, style="dim", highlight=False)
    for name, score in (("dev", result.dev), ("test", result.test)):
        if score is not None:
            console.print(f"{name:>5}: {score}", highlight=False)
    console.print(f"Trained in {result.seconds:.0f} s on {result.device}; saved in {out}")
    console.print(f'Try it:  companion predict {out} "…"', highlight=False)


@app.command(
    epilog='Examples:  companion predict runs/reviews "Not bad at all."      '
    "companion predict runs/reviews --file new.csv --json      "
    "cat lines.txt | companion predict runs/reviews -"
)
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts, or - for standard input, one a line.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A text file with one text a line, or a table with a text column."),
    ] = None,
    text_column: TextColumn = "text",
    encoding: Encoding = "utf-8",
    batch_size: Annotated[int, typer.Option(help="Texts at once.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Print label and probability, one line a text, in order."""
    from companion.classification import load_classifier
    from companion.data.texts import read_lines, read_texts

    if file is not None and not texts:
        inputs = read_texts(file, text_column=text_column, encoding=encoding)
    elif file is None and texts == ["-"]:
        inputs = read_lines(sys.stdin.buffer, name="standard input", encoding=encoding)
    elif file is None and texts:
        inputs = texts
    else:
        raise typer.BadParameter("Give texts, or - for standard input, or --file FILE.")
    classifier = load_classifier(model)
    long = len(inputs) > 1000 and sys.stderr.isatty()
    for text, answer in zip(
        inputs, classifier.predict(inputs, batch_size=batch_size, progress=long), strict=True
    ):
        if as_json:
            print(json.dumps({"text": text, **asdict(answer)}, ensure_ascii=False))
        else:
            print(f"{answer.label}\t{answer.probability:.4f}\t{' '.join(text.split())}")


@app.command(epilog="Example:  companion evaluate runs/reviews reviews.csv --split test")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    data: DataArgument,
    split: Annotated[
        str | None, typer.Option(help="Which split.", show_default="test, else dev")
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    split_column: SplitColumn = "split",
    encoding: Encoding = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Print accuracy, macro-F1 and the confusion matrix, with 95% intervals."""
    from companion.classification import load_classifier

    classifier = load_classifier(model)
    splits = read_data(
        data, text_column, label_column, split_column, encoding, labels=classifier.labels
    )
    score = classifier.evaluate(splits, split=split, progress=sys.stderr.isatty())
    if as_json:
        print(json.dumps(score.to_dict(), ensure_ascii=False))
        return
    console.print(str(score), highlight=False)
    table = Table(title="Confusion matrix: rows are true, columns predicted")
    table.add_column("")
    for label in score.labels:
        table.add_column(label, justify="right")
    for label, row in zip(score.labels, score.confusion.tolist(), strict=True):
        table.add_row(label, *map(str, row))
    console.print(table)
