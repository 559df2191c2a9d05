"""How fast one and the same model is pretrained by the usual recipe and by this package.

The usual recipe is that of the Transformers library's example script `run_mlm.py` with
`--line_by_line --max_seq_length 128`: `BertForMaskedLM`, each line cut at 128 tokens, a random
batch padded to its longest line by `DataCollatorForLanguageModeling`, and `Trainer` at its
defaults, which are float32. A second row gives it the low precision that this package chooses by
itself, and a third gives this package the dropout of the recipe, so that the table says what the
parts are worth. Model, texts, tokenizer and rows a batch are the same; only real tokens count.

Each side runs in a process of its own, one after the other and in turns.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from companion.errors import SettingsError
from companion.model import BertConfig, BertForMaskedLM
from companion.pretraining import MaskedBatches, prepare_corpus
from companion.pretraining.opening import ASSETS
from companion.pretraining.reading import find_sources
from companion.pretraining.starting import default_pieces
from companion.text import WordPieceTokenizer
from companion.training import TrainSettings, choose_precision, train

ROW_LENGTH, BATCH_SIZE, LEARNING_RATE, WARM_UP = 128, 16, 1e-3, 2
DROPOUT = 0.1  # of the usual recipe
Row = dict[str, Any]
RUN_APART = """
import json, sys
from companion.bench.pretraining import run_side
print(json.dumps(run_side(json.loads(sys.argv[1]))))
"""


def pretraining_rows(
    data: str | Sequence[str] = ("chnsenticorp", "imdb"), *, rows: int = 600, repeats: int = 3
) -> list[Row]:
    """The rows of the speed table for a BERT of 4 layers of 256 and the shipped vocabulary.

    Args:
        data: one or several sources, as `companion pretrain` takes them.
        rows: lines (paragraphs) of each source, from its beginning; one pass over them.
        repeats: runs of each side, in turns; medians are reported.

    Returns:
        Rows with side, real tokens a second, ratio to the usual recipe (median over the turns),
        the same in processor time (it does not count what neighbours on a shared machine take;
        CPU only), the share of positions that is padding, real tokens of a pass, and precision.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "lines.txt"
        write_lines([data] if isinstance(data, str) else data, rows, text)
        runs: dict[str, list[Row]] = {side: [] for side in SIDES}
        for _ in range(repeats):
            for side in SIDES:
                runs[side].append(run_apart({"side": side, "text": str(text)}))
    first = next(iter(SIDES))
    table = []
    for side, results in runs.items():

        def ratio(clock: str, results: list[Row] = results) -> float:
            pairs = zip(results, runs[first], strict=True)
            return median(
                own["tokens"] / own[clock] / (usual["tokens"] / usual[clock])
                for own, usual in pairs
            )

        table.append(
            {
                "side": side,
                "tokens/s": median(run["tokens"] / run["seconds"] for run in results),
                "ratio": ratio("seconds"),
                "ratio, processor time": ratio("processor seconds"),
                "padding": results[0]["padding"],
                "tokens": results[0]["tokens"],
                "precision": results[0]["precision"],
                "runs": len(results),
            }
        )
    return table


def write_lines(data: Iterable[str], count: int, path: Path) -> None:
    """The first `count` lines of each source as one text file, a blank line between documents."""
    with path.open("w", encoding="utf-8") as file:
        for source in find_sources(data):
            left = count
            for document in source.documents():
                lines = list(islice(document, left))
                file.writelines(f"{' '.join(line.split())}\n" for line in lines)
                file.write("\n")
                if not (left := left - len(lines)):
                    break


def run_apart(job: Row) -> Row:
    """Run one side in a fresh process and read its numbers."""
    command = [sys.executable, "-c", RUN_APART, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"The side {job['side']!r} failed:\n{done.stderr[-2000:]}")
    answer: Row = json.loads(done.stdout.splitlines()[-1])
    return answer


def run_side(job: Row) -> Row:
    """One pass over the lines by one side; the first updates of another pass warm it up."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        return SIDES[job["side"]](Path(job["text"]), Path(folder), device)


def usual_recipe(text: Path, folder: Path, device: torch.device, low_precision: bool) -> Row:
    """Hugging Face's `Trainer`, line by line."""
    from transformers import (
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainingArguments,
    )
    from transformers import BertConfig as TheirConfig
    from transformers import BertForMaskedLM as TheirBert

    tokenizer = AutoTokenizer.from_pretrained(ASSETS)
    lines = [line for line in text.read_text("utf-8").splitlines() if line]
    encoded = tokenizer(lines, truncation=True, max_length=ROW_LENGTH)["input_ids"]
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    seen = {"positions": 0}

    def counted(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = dict(collator(examples))
        seen["positions"] += batch["input_ids"].numel()
        return batch

    sizes = BertConfig.mini(vocab_size=len(tokenizer)).to_dict()
    precision = choose_precision("auto", device) if low_precision else "fp32"

    def trainer(steps: int) -> Any:
        torch.manual_seed(0)
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            max_steps=steps,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            use_cpu=device.type == "cpu",
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        return Trainer(
            model=TheirBert(TheirConfig(**sizes)),
            args=arguments,
            train_dataset=[{"input_ids": ids} for ids in encoded],
            data_collator=counted,
        )

    trainer(WARM_UP).train()
    seen["positions"] = 0
    timed = _timed(trainer(-1).train)
    tokens = sum(map(len, encoded))
    padding = 1 - tokens / seen["positions"]
    return {"tokens": tokens, "padding": padding, "precision": precision, **timed}


def this_package(text: Path, folder: Path, device: torch.device, dropout: float) -> Row:
    """`companion.training.train` on packed rows, as `pretrain` calls it."""
    tokenizer = WordPieceTokenizer.from_folder(ASSETS)
    corpus = prepare_corpus(
        text, folder / "corpus", tokenizer=tokenizer, row_length=ROW_LENGTH, dev_share=0,
        min_tokens=1, deduplicate=False, progress=False,
    )  # fmt: skip
    batches = MaskedBatches(corpus.split("train"), tokenizer, batch_size=BATCH_SIZE)
    config = BertConfig.mini(
        vocab_size=len(tokenizer),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )

    def run(steps: int | None) -> None:
        settings = TrainSettings(
            epochs=1,
            max_steps=steps,
            batch_size=batches.batch_size,
            gradient_accumulation_steps=default_pieces(batches.batch_size, ROW_LENGTH),
            learning_rate=LEARNING_RATE,
        )
        torch.manual_seed(0)
        train(BertForMaskedLM(config), batches, settings, progress=False)

    run(WARM_UP)
    timed = _timed(lambda: run(None))
    plan = batches.plan(0)
    tokens = sum(batches.tokens(rows) for rows in plan)
    padding = 1 - tokens / (sum(map(len, plan)) * ROW_LENGTH)
    precision = choose_precision("auto", device)
    return {"tokens": tokens, "padding": padding, "precision": precision, **timed}


SIDES: dict[str, Callable[[Path, Path, torch.device], Row]] = {
    "Trainer, line by line": partial(usual_recipe, low_precision=False),
    "the same in low precision": partial(usual_recipe, low_precision=True),
    "companion, dropout 0.1": partial(this_package, dropout=DROPOUT),
    "companion": partial(this_package, dropout=0.0),
}


def _timed(work: Callable[[], object]) -> Row:
    began, busy = time.monotonic(), time.process_time()
    work()
    return {
        "seconds": time.monotonic() - began,
        "processor seconds": time.process_time() - busy,
    }
