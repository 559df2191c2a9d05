"""Put a pretraining run into the package, as the model that ships with it.

    python book/ship_checkpoint.py RUN [RUN ...]

The folders are the pieces of one run, each begun from the folder before it (`companion pretrain
... --model RUN`). The weights of the last one are shipped, in half precision; the log joins all
pieces, every `EVERY`th update of it.
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from companion.model import BertForMaskedLM
from companion.pretraining.opening import ASSETS
from companion.pretraining.result import METRICS_FILE, read_history
from companion.text import WordPieceTokenizer
from companion.training import History

EVERY = 20
TOTALS = ("updates", "tokens", "seconds")


def thinned(history: History, piece: int) -> list[dict[str, Any]]:
    """Updates in groups of `EVERY`: the last one's numbers, with the mean loss and tokens."""
    kept = []
    for kind, records in groupby(history.records, key=lambda record: record["kind"]):
        rows = list(records)
        if kind == "eval":
            kept += [{**row, "piece": piece} for row in rows]
            continue
        for start in range(0, len(rows), EVERY):
            group = rows[start : start + EVERY]
            means = {
                name: round(sum(row[name] for row in group) / len(group), digits)
                for name, digits in (("loss", 4), ("tokens", 1))
            }
            kept.append({**group[-1], **means, "piece": piece})
    return kept


def ship(runs: list[Path], assets: Path = ASSETS) -> None:
    """Write weights, config, metrics.json and history.csv into `assets`."""
    for run in runs:
        if not (run / METRICS_FILE).is_file():
            raise SystemExit(f"{run} holds no finished run: {METRICS_FILE} is missing.")
    model = BertForMaskedLM.from_pretrained(runs[-1])
    if (
        WordPieceTokenizer.from_folder(runs[-1]).tokens
        != WordPieceTokenizer.from_folder(assets).tokens
    ):
        raise SystemExit(f"{runs[-1]} has another vocabulary than the package.")
    model.save_pretrained(assets, dtype=torch.float16)
    config_file = assets / "config.json"
    config = json.loads(config_file.read_text("utf-8"))
    # Without it transformers would compute in the half precision of the file.
    config["dtype"] = "float32"
    config_file.write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    pieces = [json.loads((run / METRICS_FILE).read_text("utf-8")) for run in runs]
    metrics = pieces[-1] | {name: sum(piece[name] for piece in pieces) for name in TOTALS}
    metrics["tokens_per_second"] = metrics["tokens"] / metrics["seconds"]
    # Pieces may read rows of different lengths: what a token costs is their mean.
    flops = sum(piece["tokens"] * piece["flops_per_token"] for piece in pieces)
    metrics["flops_per_token"] = flops / metrics["tokens"]
    metrics["mfu"] = (
        metrics["tokens_per_second"] * metrics["flops_per_token"] / metrics["peak_flops"]
    )
    metrics["model"] = pieces[0]["model"]
    metrics["pieces"] = [
        {name: piece[name] for name in (*TOTALS, "settings", "dev")} for piece in pieces
    ]
    text = json.dumps(metrics, indent=1, ensure_ascii=False) + "\n"
    (assets / METRICS_FILE).write_text(text, "utf-8")
    records = [
        record
        for number, run in enumerate(runs)
        for record in thinned(read_history(run / "history.csv"), number)
    ]
    History(records).to_csv(assets / "history.csv")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    ship([Path(name) for name in sys.argv[1:]])
