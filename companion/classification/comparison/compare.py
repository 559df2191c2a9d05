"""Several models on the same texts: scores, speed, size, and which differences are real."""

import difflib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from tqdm.auto import tqdm

from companion.classification.baselines.training import BASELINES, train_baseline
from companion.classification.comparison.table import Candidate, Comparison
from companion.classification.encoders import first_line
from companion.classification.fine_tune import device_name, fine_tune
from companion.classification.interface import TextClassifier, label_indices
from companion.classification.metrics import score_logits
from companion.classification.splits import as_splits, class_names, fingerprint, with_dev_split
from companion.data import MODELS, drop_shared
from companion.errors import DataError, SettingsError
from companion.training import write_atomically

DEFAULT_MODELS = (*BASELINES, "bilingual-mini")
RECORDS = {"metrics.json", "history.csv", "training_curves.png"}  # a classifier opens without them
STATE = "comparison.json"


def compare(
    data: DatasetDict | Dataset | str | Path,
    models: Sequence[str] = DEFAULT_MODELS,
    *,
    test_split: str | None = None,
    keep_shared: bool = False,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 42,
    progress: bool = True,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Comparison:
    """Train each model on the same texts and score it on the same others.

    A candidate that fails is a row with the reason; the others go on.

    Args:
        data: what `load_dataset` returns or takes.
        models: names of baselines (see `train_baseline`), and of encoders (see `fine_tune`).
        test_split: which split gives the scores; by default "test", else "dev", else a fifth of
            "train" that is held out. Where "dev" gives the scores, it chooses nothing: a tenth
            of "train" does that in its stead.
        keep_shared: score also texts that a model may have seen in training. By default they
            are left out, and counted in the notes.
        out: folder for the classifiers (models/NAME), comparison.json and comparison.png.
        resume: go on with a comparison that was stopped in `out`; failed rows are tried again.
        seed: of everything that is drawn.
        progress: say on standard error what is going on.
        settings: by name of a model, further settings of its training.

    Raises:
        SettingsError: a name that nothing can stand for, or `out` holds another comparison.
        DataError: the table cannot be compared on.
        TrainingError: every candidate failed.
    """
    models, settings = list(models), settings or {}
    refuse_names(models)
    splits, scored, notes = comparison_splits(data, test_split, keep_shared, seed)
    test, labels = splits.pop("test"), class_names(splits)
    identity = {"data": fingerprint({**splits, "test": test}), "seed": seed, "scored": scored}
    done = read_state(out, identity, resume=resume)
    found: dict[str, Candidate] = {c.model: c for c in done if c.evaluation is not None}

    def comparison() -> Comparison:
        return Comparison(
            tuple(found[name] for name in models if name in found),
            true=tuple(label_indices(test, labels)),
            rows={**{name: len(rows) for name, rows in splits.items()}, "test": len(test)},
            scored=scored,
            device=device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
            notes=tuple(notes),
        )

    for number, name in enumerate(models, 1):
        if name in found:
            continue
        _say(f"{number}/{len(models)} {name}", progress)
        try:
            folder = Path(out) / "models" / name.strip("/.").replace("/", "--") if out else None
            options = {"seed": seed, **settings.get(name, {})}
            found[name] = run_candidate(name, splits, test, folder, resume, progress, options)
            _say(f"    {found[name].evaluation}", progress)
        except Exception as error:
            found[name] = Candidate(name, failure=f"{type(error).__name__}: {first_line(error)}")
            _say(f"    failed: {found[name].failure}", progress)
        if out is not None:
            write_state(Path(out), identity, list(found.values()))
    result = comparison()
    _ = result.best  # says why, where nothing has a result
    if out is not None:
        write_results(result, Path(out), identity)
    return result


def run_candidate(
    name: str,
    data: DatasetDict,
    test: Dataset,
    folder: Path | None,
    resume: bool,
    progress: bool,
    options: Mapping[str, Any],
) -> Candidate:
    """Train one model, and measure it."""
    began = time.perf_counter()
    classifier: TextClassifier
    if name in BASELINES:
        if folder is not None and resume:
            shutil.rmtree(folder, ignore_errors=True)  # what a stopped comparison left of it
        classifier = train_baseline(name, data, out=folder, progress=progress, **options)
    else:
        classifier = fine_tune(name, data, out=folder, resume=resume, progress=progress, **options)
    seconds = time.perf_counter() - began
    if classifier.result is not None:  # of a run that was stopped, all its parts count
        seconds = max(seconds, classifier.result.seconds)
    logits, speed = timed_logits(classifier, test["text"][:])
    with tempfile.TemporaryDirectory() as scratch:
        saved = folder or classifier.save(scratch)
        size = sum(p.stat().st_size for p in saved.iterdir() if p.name not in RECORDS)
    return Candidate(
        model=name,
        evaluation=score_logits(logits, classifier.label_indices(test), classifier.labels),
        predicted=tuple(logits.argmax(-1).tolist()),
        train_seconds=round(seconds, 2),
        texts_per_second=round(speed, 1),
        disk_bytes=size,
    )


def timed_logits(classifier: TextClassifier, texts: list[str]) -> tuple[torch.Tensor, float]:
    """The logits of all texts in one call, and the texts a second of its median repetition."""
    classifier.logits(texts[:32])  # the first call makes ready what later ones find
    taken: list[float] = []
    while len(taken) < 3 and (not taken or sum(taken) < 2):
        began = time.perf_counter()
        logits = classifier.logits(texts)
        taken.append(time.perf_counter() - began)
    return logits, len(texts) / statistics.median(taken)


def comparison_splits(
    data: DatasetDict | Dataset | str | Path, test_split: str | None, keep_shared: bool, seed: int
) -> tuple[DatasetDict, str, list[str]]:
    """The data as "train", "dev" and "test"; the name of the split scored; what was decided."""
    data, notes = as_splits(data), []
    if test_split is not None and (test_split not in data or test_split == "train"):
        others = [name for name in data if name != "train"]
        raise DataError(
            f"There is no split {test_split!r} to score; "
            + (f"there is {' and '.join(others)}." if others else "there is only train.")
        )
    scored = test_split or next((s for s in ("test", "dev") if s in data), "train")
    chosen = {"train": data["train"]}
    if scored == "train":
        chosen["train"], chosen["test"] = held_out_fifth(data["train"], seed)
        notes.append(
            f"No test split: {len(chosen['test']):,} of {len(data['train']):,} texts were held "
            "out for the scores."
        )
    else:
        chosen["test"] = data[scored]
        if "dev" in data and scored != "dev":
            chosen["dev"] = data["dev"]
    splits = DatasetDict(chosen)
    if not keep_shared and scored != "train":
        splits = drop_shared(splits)
        if left_out := len(chosen["test"]) - len(splits["test"]):
            notes.append(f"{left_out:,} {scored} texts are also in train: they give no score.")
    if not len(splits["test"]):
        raise DataError(f"Every text of {scored} is also in train: there is nothing to score.")
    splits, said = with_dev_split(splits, seed)
    return splits, scored, notes + said


def held_out_fifth(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Train texts and test texts: twice a tenth, class by class, copies of a text together."""
    parts = []
    for turn in (0, 1):
        halves, _ = with_dev_split(DatasetDict({"train": train}), seed + 1000 + turn)
        if "dev" not in halves:
            raise DataError(
                f"{len(train):,} texts are too few to hold some out for the scores. Give ten or "
                "more of each class, or a test split."
            )
        train = halves["train"]
        parts.append(halves["dev"])
    return train, concatenate_datasets(parts)


def refuse_names(models: Sequence[str]) -> None:
    """A typing error is told before hours of training; a folder or a hub's name has its turn."""
    if not models:
        raise SettingsError(f"Name a model to compare, such as {', '.join(DEFAULT_MODELS)}.")
    known = [*BASELINES, *MODELS, "mini"]
    for name in models:
        if name in known or "/" in name or Path(name).exists():
            continue
        close = difflib.get_close_matches(name, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"There is no model {name!r}.{guess} There are: {', '.join(known)}.")
    if len(set(models)) < len(models):
        raise SettingsError(f"A model is named twice among {', '.join(models)}.")


def read_state(
    out: str | Path | None, identity: dict[str, Any], *, resume: bool
) -> list[Candidate]:
    """The rows that an earlier call left in `out`."""
    if out is None or not (Path(out) / STATE).is_file():
        return []
    if not resume:
        raise SettingsError(
            f"{out} already holds a comparison. Go on with it by --resume (resume=True), or give "
            "another folder."
        )
    state = json.loads((Path(out) / STATE).read_text("utf-8"))
    if state["identity"] != identity:
        raise SettingsError(
            f"{out} holds a comparison on other data, or with another seed or test split. Give "
            "another folder."
        )
    return [Candidate.from_dict(row) for row in state["candidates"]]


def write_state(
    out: Path, identity: dict[str, Any], found: Sequence[Candidate], **more: Any
) -> None:
    """Everything that `read_state` needs, whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    state = {**more, "identity": identity, "candidates": [c.to_dict() for c in found]}
    write_atomically(out / STATE, json.dumps(state, ensure_ascii=False).encode())


def write_results(result: Comparison, out: Path, identity: dict[str, Any]) -> None:
    """comparison.json in full, and the plot."""
    import matplotlib

    from companion.classification.comparison.plot import comparison_plot

    write_state(out, identity, result.candidates, **result.to_dict())
    with matplotlib.rc_context({"backend": "agg"}):
        comparison_plot(result).savefig(out / "comparison.png", dpi=150)


def _say(line: str, progress: bool) -> None:
    if progress:
        tqdm.write(line, file=sys.stderr)
