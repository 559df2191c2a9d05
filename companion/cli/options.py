"""What several commands take: a table and its columns, and the usual settings of a training."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from datasets import DatasetDict

DataArgument = Annotated[
    str,
    typer.Argument(
        help="A CSV, TSV, JSONL or Parquet file with the columns text and label (and split), a "
        "folder with train, dev and test files, or a registry name such as sample-en.",
        show_default=False,
    ),
]
TextColumn = Annotated[str, typer.Option(help="The column that holds the texts.")]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
SplitColumn = Annotated[str, typer.Option(help="The column that says train, dev or test.")]
Encoding = Annotated[str, typer.Option(help="How the file is encoded, such as utf-8 or gb18030.")]
Model = Annotated[
    str,
    typer.Option(help="Where to start: whatever --model of `companion train` takes."),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the data.", show_default="by size")]
BatchSize = Annotated[int | None, typer.Option(help="Texts per update.", show_default="32")]
LearningRate = Annotated[
    float | None, typer.Option(help="Peak learning rate.", show_default="by model")
]
MaxLength = Annotated[
    int | None,
    typer.Option(help="Tokens per text that are read.", show_default="256, or fewer by model"),
]


def read_data(
    source: str, text: str, label: str, split: str, encoding: str, **more: Any
) -> "DatasetDict":
    """The data of DATA and its column options."""
    from companion.data import load_dataset

    return load_dataset(
        source, text_column=text, label_column=label, split_column=split, encoding=encoding, **more
    )


def given(**options: Any) -> dict[str, Any]:
    """The options that the user named; the others keep the defaults of the function called."""
    return {name: value for name, value in options.items() if value is not None}
