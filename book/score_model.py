"""What a pretrained model is worth: fine-tuned on four tasks, beside random weights and an SVM.

    python book/score_model.py            score the shipped model, going on where a run stopped
    python book/score_model.py --show     print the table of what is scored
    python book/score_model.py --tasks sst2 --labels 500 --seeds 3 --learning-rates 1e-4 3e-4

Every run is one line of OUT (`runs/scores.jsonl`), written when it ends, so a killed command loses
one run. Test texts that a training split shares are left out of the test. Few labels are drawn
anew by each seed, in the proportions of the classes; nothing else with a label is used then.
Weights are chosen on dev, or on a tenth of the training texts where a task has no dev of its own.
"""

import argparse
import hashlib
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict
from sklearn.model_selection import train_test_split

from companion import fine_tune, load_dataset
from companion.classification.baselines.tfidf import TfidfClassifier
from companion.data import drop_shared, locate_model

SVM = "linear SVM"
JOB = ("task", "labels", "model", "seed", "weights", "rate", "epochs")  # what makes a run


@dataclass(frozen=True)
class Task:
    """A data set, the split that is scored, and how its texts are read."""

    data: str
    title: str
    scored: str
    max_length: int


TASKS = {
    task.data: task
    for task in (
        Task("chnsenticorp", "ChnSentiCorp test", "test", 256),
        Task("thucnews-titles", "THUCNews titles test", "test", 64),
        Task("sst2", "SST-2 dev", "dev", 128),
        Task("imdb", "IMDB test", "test", 256),
    )
}


def read(task: Task) -> DatasetDict:
    """The task with its scored split under the name "test", free of training texts."""
    data = load_dataset(task.data)
    if task.scored == "dev":
        data = DatasetDict({"train": data["train"], "test": data["dev"]})
    return drop_shared(data)


def draw(data: DatasetDict, labels: int | None, seed: int) -> DatasetDict:
    """`labels` training texts in the proportions of the classes, and the test; or everything."""
    if labels is None or labels >= len(data["train"]):
        return data
    rows = np.arange(len(data["train"]))
    chosen, _ = train_test_split(
        rows, train_size=labels, stratify=data["train"]["label"][:], random_state=seed
    )
    return DatasetDict({"train": data["train"].select(sorted(chosen)), "test": data["test"]})


def score_svm(data: DatasetDict) -> dict[str, Any]:
    """TF-IDF and a linear SVM, as `companion compare` trains it."""
    train, test = data["train"], data["test"]
    names = train.features["label"].names
    model = TfidfClassifier.fit("linear-svm", train["text"][:], train["label"][:], names)
    score = model.evaluate(test)
    return {"accuracy": score.accuracy, "macro_f1": score.macro_f1}


def score_bert(task: Task, data: DatasetDict, model: str, **settings: Any) -> dict[str, Any]:
    """`fine_tune` with its defaults, but for what `settings` says."""
    classifier = fine_tune(model, data, max_length=task.max_length, progress=False, **settings)
    result = classifier.result
    assert result is not None and result.test is not None
    return {
        "accuracy": result.test.accuracy,
        "macro_f1": result.test.macro_f1,
        "dev_accuracy": result.dev.accuracy if result.dev else None,
    }


def weights_of(model: str) -> str:
    """Which weights a name stands for today; random ones depend on the seed alone."""
    if model in ("mini", SVM):
        return ""
    file = locate_model(model) / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def read_records(out: Path) -> list[dict[str, Any]]:
    """What has been scored so far."""
    return (
        [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []
    )


def jobs(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One run after the other, a first seed of everything before the second."""
    for seed in range(1, options.seeds + 1):
        for task in options.tasks:
            for labels in options.labels:
                for model in options.models:
                    if model == SVM and labels is None and seed > 1:
                        continue  # it would be the same again
                    for rate in [None] if model == SVM else options.learning_rates:
                        job = {"task": task, "labels": labels, "model": model, "seed": seed}
                        epochs = None if model == SVM else options.epochs
                        job |= {"weights": weights_of(model), "rate": rate, "epochs": epochs}
                        yield job


def run(options: argparse.Namespace) -> None:
    """Do what is not yet in OUT."""
    done = [{k: r[k] for k in r if k in JOB} for r in read_records(options.out)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    read_task, data = None, DatasetDict()
    for job in jobs(options):
        if job in done:
            continue
        task = TASKS[job["task"]]
        if read_task != task.data:
            read_task, data = task.data, read(task)
        drawn = draw(data, job["labels"], job["seed"])
        began = time.monotonic()
        if job["model"] == SVM:
            scores = score_svm(drawn)
        else:
            settings = {"learning_rate": job["rate"], "epochs": job["epochs"]}
            scores = score_bert(task, drawn, job["model"], seed=job["seed"], **settings)
        record = {
            **job,
            **scores,
            "rows": {name: len(split) for name, split in drawn.items()},
            "seconds": round(time.monotonic() - began, 1),
        }
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), flush=True)


def show(options: argparse.Namespace) -> None:
    """Mean and standard deviation over the seeds, as a Markdown table for each task."""
    scores: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for record in read_records(options.out):
        if record["weights"] in ("", weights_of(record["model"])):
            names = ("task", "labels", "model", "rate", "epochs")
            key = tuple(record[name] for name in names)
            scores[key].append(100 * record["accuracy"])
    print("| task | labels | model | rate | epochs | accuracy, mean ± sd | seeds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (task, labels, model, rate, epochs), values in sorted(scores.items(), key=str):
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        amount = "all" if labels is None else f"{labels:,}"
        mean = f"{statistics.mean(values):.2f}{spread}"
        title = TASKS[task].title
        settings = f"{rate or 'default'} | {epochs or 'default'}"
        print(f"| {title} | {amount} | {model} | {settings} | {mean} | {len(values)} |")


def number_of_labels(text: str) -> int | None:
    """A number, or all."""
    return None if text == "all" else int(text)


def main() -> None:
    """Read the command line."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--models", nargs="+", default=["bilingual-mini", "mini", SVM])
    parser.add_argument("--labels", nargs="+", type=number_of_labels, default=[50, 500, 5000, None])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learning-rates", nargs="+", type=float, default=[None])
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs/scores.jsonl"))
    parser.add_argument("--show", action="store_true", help="print the table of OUT, run nothing")
    options = parser.parse_args()
    if options.show:
        show(options)
    else:
        run(options)


if __name__ == "__main__":
    main()
