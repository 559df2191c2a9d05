"""How fast one and the same model is fine-tuned: a tutorial's loop, `transformers.Trainer`, this.

Each side runs in a process of its own, one after the other and in turns, so that all meet the
same neighbours on a shared machine and the peak of memory is its own. Model, initial weights,
data, batch size, peak rate, schedule and number of epochs are the same; all else is the side's.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from transformers import TrainerCallback

from companion.classification.classifier import Classifier
from companion.classification.encoders import load_encoder
from companion.classification.metrics import score_logits
from companion.data import load_dataset
from companion.errors import SettingsError

BATCH_SIZE, WARMUP_RATIO, MAX_LENGTH = 32, 0.1, 256
LOOKS = 12  # at the dev accuracy, on the way; the clock stands still
Row = dict[str, Any]
RUN_APART = """
import json, sys
from companion.bench.fine_tuning import run_side
print(json.dumps(run_side(json.loads(sys.argv[1]))))
"""


@dataclass
class Stopwatch:
    """Seconds of training without those of looking at dev.

    Attributes:
        score: the dev accuracy of the model as it is.
        every: updates between two looks.
        curve: (seconds, dev accuracy) at each look.
    """

    score: Callable[[], float]
    every: int
    seconds: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    began: float = 0.0

    def start(self) -> None:
        self.began = time.monotonic()

    def stop(self) -> None:
        self.seconds += time.monotonic() - self.began

    def watch(self, step: int, _: Any = None) -> None:
        """Called after each update, with its number."""
        if step % self.every == 0:
            self.stop()
            self.curve.append((self.seconds, self.score()))
            self.start()


def fine_tuning_rows(
    data: str = "chnsenticorp",
    *,
    rows: int | None = None,
    epochs: int = 1,
    repeats: int = 3,
    model: str = "mini",
    learning_rate: float = 5e-4,
) -> list[Row]:
    """The rows of the speed table: a tutorial's loop, Trainer twice, this engine.

    Args:
        data: what `load_dataset` takes; its "dev" split gives the accuracy. Without one a tenth
            of "train" does.
        rows: training texts to use; None for all.
        epochs: passes over them.
        repeats: runs of each side, with seeds 1, 2, ...; medians are reported.
        model: what all sides start from; see `load_encoder`.
        learning_rate: its peak.

    Returns:
        A row a side with examples a second, their ratio to the first row, the dev accuracy at the
        end (mean, and each), the seconds to the accuracy that every run has reached at some look,
        and the peak of memory in MiB, looks included.
    """
    runs: dict[str, list[Row]] = {side: [] for side in SIDES}
    for seed in range(1, repeats + 1):
        for side in SIDES:
            job = {
                "side": side, "data": data, "rows": rows, "epochs": epochs, "seed": seed,
                "model": model, "learning_rate": learning_rate,
            }  # fmt: skip
            runs[side].append(run_apart(job))
    reached = min(
        max(accuracy for _, accuracy in run["curve"]) for found in runs.values() for run in found
    )
    table: list[Row] = []
    for side, found in runs.items():
        speed = median(run["examples_per_second"] for run in found)
        table.append(
            {
                "side": side,
                "examples/s": speed,
                "ratio": speed / table[0]["examples/s"] if table else 1.0,
                "dev accuracy": mean(run["dev_accuracy"] for run in found),
                "dev accuracies": [run["dev_accuracy"] for run in found],
                f"s to {reached:.1%}": median(seconds_to(reached, run["curve"]) for run in found),
                "peak MiB": median(run["peak_mib"] for run in found),
                "runs": len(found),
            }
        )
    return table


def seconds_to(accuracy: float, curve: list[tuple[float, float]]) -> float:
    """When a run was first seen to be as good."""
    return next(seconds for seconds, seen in curve if seen >= accuracy)


def run_apart(job: Row) -> Row:
    """Run one side in a fresh process and read its numbers."""
    command = [sys.executable, "-c", RUN_APART, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"The side {job['side']!r} failed:\n{done.stderr[-2000:]}")
    answer: Row = json.loads(done.stdout.splitlines()[-1])
    return answer


def with_tutorial_loop(
    classifier: Classifier, data: DatasetDict, job: Row, watch: Stopwatch
) -> None:
    """The loop that most tutorials show: all texts padded to the longest, full precision."""
    from torch.utils.data import DataLoader, TensorDataset
    from transformers import get_linear_schedule_with_warmup

    encoded = classifier.tokenizer(
        data["train"]["text"][:],
        padding="longest",
        truncation=True,
        max_length=MAX_LENGTH,
        return_tensors="pt",
    )
    labels = torch.tensor(data["train"]["label"][:])
    torch.manual_seed(job["seed"])
    loader = DataLoader(
        TensorDataset(encoded["input_ids"], encoded["attention_mask"], labels),
        batch_size=BATCH_SIZE,
        shuffle=True,
    )
    model, updates = classifier.model.train(), job["epochs"] * len(loader)
    optimizer = torch.optim.AdamW(model.parameters(), lr=job["learning_rate"], weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, round(WARMUP_RATIO * updates), updates)
    step = 0
    watch.start()
    for _ in range(job["epochs"]):
        for input_ids, attention_mask, target in loader:
            optimizer.zero_grad()
            loss = model(
                input_ids=input_ids.to(classifier.device),
                attention_mask=attention_mask.to(classifier.device),
                labels=target.to(classifier.device),
            ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            watch.watch(step)
    watch.stop()


class Looking(TrainerCallback):
    """Passes each update of a Trainer on to the stopwatch."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.watch.watch(state.global_step)


def with_trainer(
    classifier: Classifier, data: DatasetDict, job: Row, watch: Stopwatch, **options: Any
) -> None:
    """`transformers.Trainer`, with the collator that it chooses itself."""
    from transformers import Trainer, TrainingArguments

    def tokenize(batch: dict[str, list[str]]) -> dict[str, Any]:
        return dict(classifier.tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH))

    tokenized = data["train"].map(tokenize, batched=True, remove_columns="text")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=job["epochs"],
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=job["learning_rate"],
            warmup_steps=WARMUP_RATIO,  # below 1 it is a share of the run
            seed=job["seed"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **options,
        )
        trainer = Trainer(
            model=classifier.model,
            args=arguments,
            train_dataset=tokenized,
            processing_class=classifier.tokenizer,
            callbacks=[Looking(watch)],
        )
        watch.start()
        trainer.train()
        watch.stop()


def with_best_trainer(
    classifier: Classifier, data: DatasetDict, job: Row, watch: Stopwatch
) -> None:
    """The same with what its documentation offers for speed, but for compilation."""
    with_trainer(
        classifier,
        data,
        job,
        watch,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),  # else it refuses bf16
        train_sampling_strategy="group_by_length",
        optim="adamw_torch_fused",
    )


def with_engine(classifier: Classifier, data: DatasetDict, job: Row, watch: Stopwatch) -> None:
    """This package's engine, with the pieces that `fine_tune` chooses."""
    from companion.classification.fine_tune import default_pieces
    from companion.training import TrainSettings, train

    encoded = classifier.encode(data["train"]["text"][:])
    batches = classifier.batches(
        encoded, data["train"]["label"][:], batch_size=BATCH_SIZE, shuffle=True, seed=job["seed"]
    )
    settings = TrainSettings(
        epochs=job["epochs"],
        batch_size=BATCH_SIZE,
        gradient_accumulation_steps=default_pieces(encoded.input_ids, BATCH_SIZE),
        learning_rate=job["learning_rate"],
        warmup_ratio=WARMUP_RATIO,
        weight_decay=0.0,  # as the Trainer's default
        seed=job["seed"],
    )
    watch.start()
    train(classifier.model, batches, settings, watch=watch.watch, progress=False)
    watch.stop()


SIDES: dict[str, Callable[[Classifier, DatasetDict, Row, Stopwatch], None]] = {
    "tutorial's loop": with_tutorial_loop,
    "Trainer, defaults": with_trainer,
    "Trainer, its best": with_best_trainer,
    "companion": with_engine,
}


def run_side(job: Row) -> Row:
    """Train one side and measure it."""
    from companion.classification.splits import with_dev_split

    data, _ = with_dev_split(load_dataset(job["data"]), seed=0)
    if job["rows"] is not None:
        few = min(job["rows"], len(data["train"]))
        data["train"] = data["train"].shuffle(seed=0).select(range(few))
    labels = data["train"].features["label"].names
    model, tokenizer = load_encoder(job["model"], labels, seed=job["seed"])
    classifier = Classifier(model, tokenizer, max_length=MAX_LENGTH)
    dev: Dataset = data["dev"].shuffle(seed=0).select(range(min(1000, len(data["dev"]))))
    texts, targets = classifier.encode(dev["text"][:]), classifier.label_indices(dev)

    def score() -> float:
        logits = classifier.logits_of(texts, batch_size=BATCH_SIZE)
        return score_logits(logits, targets, labels).accuracy

    updates = job["epochs"] * -(-len(data["train"]) // BATCH_SIZE)
    watch = Stopwatch(score, max(1, updates // LOOKS))
    SIDES[job["side"]](classifier, data, job, watch)
    return {
        "examples_per_second": job["epochs"] * len(data["train"]) / watch.seconds,
        "dev_accuracy": score(),
        "curve": watch.curve,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": torch.get_num_threads(),
    }
