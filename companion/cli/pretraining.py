"""From raw text to a pretrained BERT: prepare, pretrain."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.common import Quiet, Resume, app, console
from companion.errors import SettingsError


@app.command(
    epilog="Examples:  companion pretrain wiki.txt.xz --out runs/bert --minutes 30      "
    "companion pretrain zh.txt en.txt --out runs/bert --steps 10000 --model small      "
    "companion pretrain wiki.txt.xz --out runs/bert --resume      "
    "accelerate launch -m companion.cli pretrain runs/bert/corpus --out runs/more --model runs/bert"
)
def pretrain(
    corpus: Annotated[
        list[str],
        typer.Argument(
            help="Raw text: files (also .gz and .xz) with one paragraph a line and a blank line "
            "between documents, folders of such files, tables, registry names. It is prepared in "
            "OUT/corpus. Or one folder with a prepared corpus.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.", show_default=False)],
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time for the training; the speed is measured first and the schedule fitted.",
            show_default="30, unless --steps is given",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Number of updates, not minutes.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Where to start: tiny, mini, small, medium, base or large with random weights, "
            "or a model folder."
        ),
    ] = "mini",
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a tokenizer, for raw text.", show_default="the shipped bilingual one"
        ),
    ] = None,
    row_length: Annotated[
        int | None, typer.Option(help="Positions in a row, for raw text.", show_default="128")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows per update.", show_default="by device")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate.", show_default="by model")
    ] = None,
    warmup_ratio: Annotated[float, typer.Option(help="Share of updates with a rising rate.")] = 0.1,
    decay_ratio: Annotated[
        float | None,
        typer.Option(
            help="Share of updates, at the end, with a falling rate; 0 keeps the peak, for a run "
            "that another one goes on from.",
            show_default="all after the warm-up",
        ),
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="AdamW's decay of matrices.")] = 0.01,
    gradient_accumulation_steps: Annotated[
        int | None,
        typer.Option(help="Pieces that a batch is cut into.", show_default="by device"),
    ] = None,
    mask_rate: Annotated[float, typer.Option(help="Share of the tokens that is asked for.")] = 0.15,
    whole_words: Annotated[
        str, typer.Option(help="Mask whole words: no, pieces (##), or jieba for Chinese too.")
    ] = "no",
    head_start: Annotated[
        bool | None,
        typer.Option(
            help="Random weights that know which tokens are alike, and look at their neighbours: "
            "the loss falls many times sooner.",
            show_default="on for random weights",
        ),
    ] = None,
    dropout: Annotated[float, typer.Option(help="While pretraining.")] = 0.0,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    seed: Annotated[int, typer.Option(help="Decides order, masks and random weights.")] = 42,
    save_steps: Annotated[
        int | None, typer.Option(help="Updates between checkpoints.", show_default="each score")
    ] = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Pretrain a BERT on masked words, from raw text; writes a model folder that loads anywhere."""
    from companion.pretraining import pretrain as run

    pieces: dict[str, Any] = {"gradient_accumulation_steps": gradient_accumulation_steps}
    result = run(
        corpus[0] if len(corpus) == 1 else corpus,
        out=out,
        model=model,
        minutes=minutes,
        steps=steps,
        resume=resume,
        tokenizer=tokenizer,
        row_length=row_length,
        batch_size=batch_size,
        learning_rate=learning_rate,
        mask_rate=mask_rate,
        whole_words=whole_words,  # type: ignore[arg-type]
        head_start=head_start,
        dropout=dropout,
        progress=not quiet,
        warmup_ratio=warmup_ratio,
        decay_ratio=decay_ratio,
        weight_decay=weight_decay,
        precision=precision,
        seed=seed,
        save_steps=save_steps,
        **{name: value for name, value in pieces.items() if value is not None},
    )
    if int(os.environ.get("RANK", "0")):
        return
    done = result.metrics
    for note in done["notes"]:
        console.print(note, style="dim", highlight=False)
    for name, value in done["dev"].items():
        if name.startswith("dev_loss"):
            share = done["dev"][name.replace("loss", "accuracy")]
            of = name.removeprefix("dev_loss").removeprefix("_") or "held out"
            line = f"{of:>10}: loss {value:.3f}, {share:.1%} of the hidden tokens found"
            console.print(line, highlight=False)
    console.print(
        f"{done['tokens']:,} tokens in {done['updates']:,} updates and {done['seconds']:,.0f} s: "
        f"{done['tokens_per_second']:,.0f} tokens/s, {done['mfu']:.0%} of the measured peak of "
        f"{done['device']}; saved in {out}",
        highlight=False,
    )


@app.command(
    epilog="Examples:  companion prepare wiki.txt.xz reviews.csv:text --out runs/corpus      "
    "companion prepare zh.txt.xz sst2 --out runs/corpus --exclude sst2:dev --share zh=0.3"
)
def prepare(
    sources: Annotated[
        list[str],
        typer.Argument(help="Raw text, as for companion pretrain.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the corpus.", show_default=False)],
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Texts that must not get in, such as test texts; may be repeated."),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(help="NAME=0.3 takes that share of a source's documents; may be repeated."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a tokenizer.", show_default="the shipped Chinese and English one"
        ),
    ] = None,
    row_length: Annotated[int, typer.Option(help="Positions in a row.")] = 128,
    dev_share: Annotated[float, typer.Option(help="Share of the documents held out.")] = 0.005,
    quiet: Quiet = False,
) -> None:
    """Clean, deduplicate, tokenise and pack raw text, once for many runs of companion pretrain."""
    from companion.pretraining import prepare_corpus
    from companion.pretraining.opening import ASSETS

    corpus = prepare_corpus(
        sources,
        out,
        tokenizer=tokenizer or ASSETS,
        row_length=row_length,
        dev_share=dev_share,
        exclude=exclude or (),
        shares=dict(_share(text) for text in share or []),
        progress=not quiet,
    )
    for source in corpus.manifest["sources"]:
        left = source["documents_excluded"] + source["documents_repeated"]
        console.print(
            f"{source['name']} ({source['language']}): {source['train']['tokens']:,} tokens to "
            f"train on, {source['dev']['tokens']:,} held out; {left:,} of "
            f"{source['documents_read']:,} documents excluded or repeated",
            highlight=False,
        )
    facts = corpus.manifest["splits"]["train"]
    console.print(
        f"{facts['tokens']:,} tokens in {facts['rows']:,} rows, {facts['positions_in_use']:.1%} of "
        f"the positions in use; saved in {out}",
        highlight=False,
    )


def _share(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise SettingsError(f"--share takes NAME=0.3, found {text!r}.") from None
