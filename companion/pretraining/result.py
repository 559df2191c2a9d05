"""What a pretraining run leaves behind: the model's folder, its numbers, its curves (chapter 8).

config.json, model.safetensors, vocab.txt, tokenizer.json and tokenizer_config.json are a Hugging
Face folder; metrics.json, history.csv and training_curves.png say how it came about.
"""

import csv
import json
import platform
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from companion.errors import CheckpointError, SettingsError
from companion.model import BertForMaskedLM
from companion.plots import PALETTE, SKY, in_style, label_panel
from companion.pretraining.batches import MaskedBatches
from companion.pretraining.held_out import HeldOut
from companion.text import WordPieceTokenizer
from companion.training import History, write_atomically
from companion.training.checkpoints import saving_failed

PLAN_FILE, METRICS_FILE = "plan.json", "metrics.json"


@dataclass(frozen=True)
class PretrainingResult:
    """A finished run.

    Attributes:
        model: with its best weights, in eval mode, on the CPU.
        tokenizer: the one of the corpus.
        history: losses, rates, tokens and evaluations, see `companion.training.History`.
        metrics: what metrics.json holds.
    """

    model: BertForMaskedLM
    tokenizer: WordPieceTokenizer
    history: History
    metrics: dict[str, Any]


def training_seconds(history: History) -> float:
    """Seconds of the updates alone, without the evaluations between them."""
    records = history.records
    scoring = sum(
        after["seconds"] - before["seconds"]
        for before, after in pairwise(records)
        if after["kind"] == "eval"
    )
    return records[-1]["seconds"] - scoring if records else 0.0


def count_tokens(history: History, batches: MaskedBatches) -> None:
    """Put the real tokens of all processes into the history; the loop does not count them."""
    epoch, plan = -1, []
    for record in history.rows("train"):
        now, position = divmod(record["step"] - 1, len(batches))
        if now != epoch:
            epoch, plan = now, batches.plan(now)
        record["tokens"] = batches.tokens(plan[position])


def measured(history: History, flops: float, peak: float) -> dict[str, Any]:
    """What a run did, and how fast, in numbers."""
    seconds, tokens = training_seconds(history), sum(history.column("tokens"))
    best = min(history.rows("eval"), key=lambda row: row["dev_loss"], default={})
    return {
        "updates": history.column("step")[-1],
        "epochs": history.column("epoch")[-1],
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "mfu": tokens / seconds * flops / peak,
        "flops_per_token": flops,
        "flops_are": "6 for each weight of the layers, and of the word head at the masked tokens; "
        "attention; not embeddings, norms, softmax, optimiser",
        "peak_flops": peak,
        "dev": {key: value for key, value in best.items() if key.startswith("dev_")},
    }


def notes(longest: int, positions: int, history: History, held_out: HeldOut) -> list[str]:
    """What a reader of the numbers should know; `longest` is that of `save_result`."""
    said = []
    if positions > longest:
        said.append(
            f"Rows had at most {longest} positions: those from {longest} to {positions - 1} are as "
            f"random as they began, so the tokenizer gives {longest} as the longest text. A later "
            "run can go on with longer rows."
        )
    if not held_out:
        said.append("The corpus has no held-out row: nothing was scored, the last weights stay.")
    if (epochs := history.column("epoch")[-1]) > 4:
        said.append(f"Each text was read about {epochs:.0f} times; more text would serve better.")
    return said


def device_name(device: torch.device) -> str:
    """What a run was computed on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = torch.cpu.get_capabilities().get("cpu_name", platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"


def save_result(result: PretrainingResult, out: Path, longest: int) -> None:
    """Write everything into `out`, metrics.json last; then the checkpoints are removed.

    `longest` is the number of tokens at which the tokenizer cuts by default: no position beyond
    was trained, and one such token spoils what the others of its text mean.
    """
    result.model.save_pretrained(out)
    try:
        result.tokenizer.save(out, max_length=longest)
        result.history.to_csv(out / "history.csv")
        # Another backend would ask for a screen.
        with matplotlib.rc_context({"backend": "agg"}):
            pretraining_curves(result.history).savefig(out / "training_curves.png", dpi=120)
    except OSError as error:
        raise saving_failed(out, error) from error
    content = json.dumps(result.metrics, indent=2, ensure_ascii=False)
    write_atomically(out / METRICS_FILE, content.encode())
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


def finished_run(out: Path, *, resume: bool) -> PretrainingResult | None:
    """The result of a run that is over, when it is to be resumed; None when there is none.

    Raises:
        SettingsError: `out` holds a run, and nobody asked to resume it.
    """
    finished = (out / METRICS_FILE).is_file()
    begun = (out / "checkpoints").is_dir() or (out / PLAN_FILE).is_file()
    if not resume and (finished or begun or (out / "config.json").exists()):
        raise SettingsError(
            f"{out} already holds a run. Go on with it by --resume (resume=True), or give "
            "another folder."
        )
    if not finished or (out / "checkpoints").is_dir():
        return None
    model = BertForMaskedLM.from_pretrained(out)
    metrics = json.loads((out / METRICS_FILE).read_text("utf-8"))
    history = read_history(out / "history.csv")
    return PretrainingResult(model, WordPieceTokenizer.from_folder(out), history, metrics)


def read_history(path: Path) -> History:
    """What `History.to_csv` wrote: whole numbers and fractions as they were, no empty cells."""
    with path.open(encoding="utf-8", newline="") as file:
        records = [
            {key: _number(cell) for key, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]
    return History(records)


def _number(cell: str) -> Any:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell


def read_plan(out: Path) -> dict[str, Any] | None:
    """What the first start of a run has fixed; None before it."""
    path = out / PLAN_FILE
    if not path.is_file():
        return None
    try:
        plan: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}); it says how many updates the run has. Begin again in "
            "another folder."
        ) from error
    return plan


@in_style
def pretraining_curves(history: History, title: str = "Pretraining") -> Figure:
    """Loss, share of hidden tokens found, and speed over the updates; a line for each source.

    Args:
        history: of `pretrain`.
        title: stands over the figure.
    """
    train, evals = history.rows("train"), history.rows("eval")
    names = list(dict.fromkeys(key for row in evals for key in row if key.startswith("dev_loss")))
    sources = [name.removeprefix("dev_loss") for name in names]
    shown = [s for s in sources if s] or sources  # one source has no name of its own
    figure, (loss, accuracy, speed) = plt.subplots(1, 3, figsize=(10.8, 3.4))
    steps, losses = [row["step"] for row in train], [row["loss"] for row in train]
    window = max(1, len(losses) // 50)
    mean = np.convolve(losses, np.ones(window) / window, mode="valid")
    loss.plot(steps[window - 1 :], mean, color=SKY, label=f"train, mean of {window}")
    at = [row["step"] for row in evals]
    for source, color in zip(shown, PALETTE, strict=False):
        label = f"held out {source.removeprefix('_')}".strip()
        loss.plot(at, [row[f"dev_loss{source}"] for row in evals], ".-", color=color, label=label)
        shares = [100 * row[f"dev_accuracy{source}"] for row in evals]
        accuracy.plot(at, shares, ".-", color=color, label=label)
    loss.legend()
    label_panel(loss, "Loss", "update", "cross-entropy (nats)")
    label_panel(accuracy, "Hidden tokens found", "update", "accuracy (%)")
    paces = [row["tokens_per_second"] / 1000 for row in evals]
    speed.plot(at, paces, ".-", color=PALETTE[2])
    speed.set_ylim(0, 1.15 * max(paces, default=1.0))
    label_panel(speed, "Speed", "update", "1000 tokens a second")
    figure.suptitle(title)
    return figure
