"""How fast one and the same model is fine-tuned by `transformers.Trainer` and by this package.

Each side runs in a process of its own, one after the other and in turns, so that both meet the
same neighbours on a shared machine and the peak of memory is its own. Model, initial weights,
data, batch size, peak rate, schedule and number of epochs are the same; all else is each side's
default.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any

import torch
from datasets import Dataset, DatasetDict

from companion.classification.classifier import Classifier
from companion.classification.encoders import load_encoder
from companion.classification.metrics import score_logits
from companion.data import load_dataset
from companion.errors import SettingsError

BATCH_SIZE, LEARNING_RATE, WARMUP_RATIO, MAX_LENGTH = 32, 5e-4, 0.1, 256
Row = dict[str, Any]
RUN_APART = """
import json, sys
from companion.bench.fine_tuning import run_side
print(json.dumps(run_side(json.loads(sys.argv[1]))))
"""


def fine_tuning_rows(
    data: str = "chnsenticorp", *, rows: int | None = None, epochs: int = 1, repeats: int = 3
) -> list[Row]:
    """The rows of the speed table: Trainer at its defaults, this engine, and their ratio.

    Args:
        data: what `load_dataset` takes; its "dev" split gives the accuracy.
        rows: training texts to use; None for all.
        epochs: passes over them.
        repeats: runs of each side, with seeds 1, 2, ...; medians are reported.
    """
    runs: dict[str, list[Row]] = {side: [] for side in SIDES}
    for seed in range(1, repeats + 1):
        for side in SIDES:
            job = {"side": side, "data": data, "rows": rows, "epochs": epochs, "seed": seed}
            runs[side].append(run_apart(job))
    table = [
        {
            "side": side,
            "examples/s": median(run["examples_per_second"] for run in results),
            "dev accuracy": mean(run["dev_accuracy"] for run in results),
            "dev accuracies": [run["dev_accuracy"] for run in results],
            "peak MiB": median(run["peak_mib"] for run in results),
            "runs": len(results),
        }
        for side, results in runs.items()
    ]
    for row in table:
        row["ratio"] = row["examples/s"] / table[0]["examples/s"]
    return table


def run_apart(job: Row) -> Row:
    """Run one side in a fresh process and read its numbers."""
    command = [sys.executable, "-c", RUN_APART, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"The side {job['side']!r} failed:\n{done.stderr[-2000:]}")
    answer: Row = json.loads(done.stdout.splitlines()[-1])
    return answer


def with_trainer(classifier: Classifier, data: DatasetDict, epochs: int, seed: int) -> float:
    """Seconds that `transformers.Trainer` takes, with the collator that it chooses itself."""
    from transformers import Trainer, TrainingArguments

    def tokenize(batch: dict[str, list[str]]) -> dict[str, Any]:
        return dict(classifier.tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH))

    tokenized = data["train"].map(tokenize, batched=True, remove_columns="text")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            warmup_steps=WARMUP_RATIO,  # below 1 it is a share of the run
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=classifier.model,
            args=arguments,
            train_dataset=tokenized,
            processing_class=classifier.tokenizer,
        )
        began = time.monotonic()
        trainer.train()
        return time.monotonic() - began


def with_engine(classifier: Classifier, data: DatasetDict, epochs: int, seed: int) -> float:
    """Seconds that this package's engine takes."""
    from companion.classification.fine_tune import default_pieces
    from companion.training import TrainSettings, train

    encoded = classifier.encode(data["train"]["text"][:])
    batches = classifier.batches(
        encoded, data["train"]["label"][:], batch_size=BATCH_SIZE, shuffle=True, seed=seed
    )
    settings = TrainSettings(
        epochs=epochs,
        batch_size=BATCH_SIZE,
        gradient_accumulation_steps=default_pieces(encoded.input_ids, BATCH_SIZE),
        learning_rate=LEARNING_RATE,
        warmup_ratio=WARMUP_RATIO,
        weight_decay=0.0,  # as the Trainer's default
        seed=seed,
    )
    began = time.monotonic()
    train(classifier.model, batches, settings, progress=False)
    return time.monotonic() - began


SIDES: dict[str, Callable[[Classifier, DatasetDict, int, int], float]] = {
    "transformers.Trainer, defaults": with_trainer,
    "companion": with_engine,
}


def run_side(job: Row) -> Row:
    """Train one side and measure it."""
    data = load_dataset(job["data"])
    if job["rows"] is not None:
        data["train"] = data["train"].shuffle(seed=0).select(range(job["rows"]))
    labels = data["train"].features["label"].names
    model, tokenizer = load_encoder("mini", labels, seed=job["seed"])
    classifier = Classifier(model, tokenizer, max_length=MAX_LENGTH)
    seconds = SIDES[job["side"]](classifier, data, job["epochs"], job["seed"])
    scored: Dataset = data["dev"]
    # Read before the evaluation, which is the same code for both sides.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logits = classifier.logits(scored["text"][:])
    return {
        "examples_per_second": job["epochs"] * len(data["train"]) / seconds,
        "dev_accuracy": score_logits(logits, classifier.label_indices(scored), labels).accuracy,
        "peak_mib": peak,
        "threads": torch.get_num_threads(),
    }
