"""Every text scored by a model that has not seen it: k-fold cross-validation (chapter 13).

For small tables, where a dev split of a tenth is a handful of texts. What comes out is an honest
score of the recipe, a prediction for each training text (those where the model contradicts the
label are worth reading), and k classifiers whose mean is often better than any of them.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm

from companion.classification.baselines.training import BASELINES, train_baseline
from companion.classification.fine_tune import fine_tune
from companion.classification.interface import TextClassifier
from companion.classification.metrics import Evaluation, score_logits
from companion.classification.opening import load_classifier
from companion.classification.splits import as_splits, class_names, fingerprint
from companion.classification.tuning.ensemble import Ensemble, write_config
from companion.classification.tuning.folds import rare_classes, stratified_folds, with_class_labels
from companion.errors import SettingsError
from companion.training import write_atomically
from companion.training.checkpoints import refuse_other_run

STATE, HELD_OUT = "cross_validation.json", "out_of_fold.json"
DEPENDENCE = (
    "Any two folds share training texts, so their scores are not independent, and no formula "
    "turns their spread into an unbiased error of the mean (Bengio & Grandvalet 2004). The "
    "interval is a bootstrap over the texts: other texts, the same trained models."
)


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found, on n training texts.

    Attributes:
        ensemble: the classifiers of the folds as one; for new texts, since it has seen these.
        evaluation: of the n out-of-fold predictions together, with bootstrap intervals.
        folds: of each fold alone.
        fold_of: int64 (n,), from 0: the fold in which each text was held out.
        logits: fp32 (n, C), of the one classifier that has not seen the text.
        true: int64 (n,), class indices.
        notes: what was decided for the user, and how far to trust the numbers.
    """

    ensemble: Ensemble
    evaluation: Evaluation
    folds: tuple[Evaluation, ...]
    fold_of: np.ndarray
    logits: torch.Tensor
    true: np.ndarray
    notes: tuple[str, ...]

    @property
    def predicted(self) -> np.ndarray:
        """Class indices (n,) out of fold."""
        return self.logits.argmax(-1).numpy()

    def mean(self, score: str = "accuracy") -> float:
        """Of "accuracy" or "macro_f1" over the folds."""
        return float(np.mean([getattr(fold, score) for fold in self.folds]))

    def spread(self, score: str = "accuracy") -> float:
        """The standard deviation over the folds, with k - 1; see `notes` for what it is not."""
        return float(np.std([getattr(fold, score) for fold in self.folds], ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them."""
        return {
            "evaluation": self.evaluation.to_dict(),
            "folds": [fold.to_dict() for fold in self.folds],
            "mean": {name: self.mean(name) for name in ("accuracy", "macro_f1")},
            "spread": {name: self.spread(name) for name in ("accuracy", "macro_f1")},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        over = ", ".join(
            f"{name} {self.mean(key):.2%} ± {self.spread(key):.2%}"
            for name, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"))
        )
        return (
            f"Out of fold: {self.evaluation}\nOver {len(self.folds)} folds: {over} "
            "(mean and standard deviation)"
        )


def cross_validate(
    model: str | Path,
    data: DatasetDict | Dataset | str | Path,
    folds: int = 5,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 42,
    prepare: Callable[[DatasetDict], DatasetDict] | None = None,
    progress: bool = True,
    **settings: Any,
) -> CrossValidation:
    """Train on all folds but one and score that one, for each in turn.

    The held-out fold chooses nothing, not even the epoch whose weights are kept: the "dev" split
    does where there is one, else a tenth of the other folds. "test" is not touched.

    Args:
        model: as for `fine_tune`, or the name of a baseline (see `train_baseline`).
        data: what `load_dataset` returns or takes; its "train" split is cut into folds.
        folds: how many; 5 and 10 are usual.
        out: folder for a classifier a fold (fold-1 and so on), the scores, and all predictions in
            out_of_fold.csv. `load_classifier` opens it as the ensemble.
        resume: go on with a cross-validation that was stopped in `out`; a fold that is finished
            is not run again.
        seed: of the folds and of each training.
        prepare: changes a fold's splits before training, such as `augment`. (Texts augmented
            before they are cut into folds would be scored by models that read their siblings.)
        settings: any other setting of `fine_tune`, or of `train_baseline`.

    Raises:
        SettingsError: impossible settings, or `out` holds another cross-validation.
        DataError: the table cannot be cut into so many folds, or not be trained on.
    """
    data = with_class_labels(as_splits(data))
    train = data["train"]
    names, texts = class_names(data), train["text"][:]
    true = np.asarray(train["label"][:], dtype=np.int64)  # (n,)
    fold_of = stratified_folds(texts, true.tolist(), folds, seed=seed)  # (n,)
    notes = [DEPENDENCE]
    if note := rare_classes(true.tolist(), names, folds):
        notes.insert(0, note)
    folder = None if out is None else Path(out)
    if folder is not None:
        used = {split: rows for split, rows in data.items() if split in ("train", "dev")}
        identity = {
            "model": str(model), "folds": folds, "seed": seed, "settings": settings,
            "data": fingerprint(used),
            "prepare": getattr(prepare, "__qualname__", type(prepare).__name__),
        }  # fmt: skip
        open_state(folder, identity, resume=resume)
    members: list[TextClassifier] = []
    scores: list[Evaluation] = []
    logits = torch.empty(len(texts), len(names))  # (n, C)
    for fold in range(folds):
        held_out = np.flatnonzero(fold_of == fold)
        place = None if folder is None else folder / f"fold-{fold + 1}"
        _say(f"fold {fold + 1}/{folds}", progress)
        splits = DatasetDict({"train": train.select(np.flatnonzero(fold_of != fold))})
        if "dev" in data:
            splits["dev"] = data["dev"]
        member, found = run_fold(
            model,
            splits if prepare is None else prepare(splits),
            train.select(held_out)["text"][:],
            place,
            resume=resume,
            progress=progress,
            seed=seed,
            **settings,
        )
        logits[torch.from_numpy(held_out)] = found
        scores.append(score_logits(found, true[held_out].tolist(), names))
        members.append(member)
        _say(f"    {scores[-1]}", progress)
    result = CrossValidation(
        ensemble=Ensemble(members),
        evaluation=score_logits(logits, true.tolist(), names),
        folds=tuple(scores),
        fold_of=fold_of,
        logits=logits,
        true=true,
        notes=tuple(notes),
    )
    if folder is not None:
        write_results(folder, result, identity, names)
    return result


def run_fold(
    model: str | Path,
    splits: DatasetDict,
    texts: list[str],
    place: Path | None,
    *,
    resume: bool,
    progress: bool,
    **settings: Any,
) -> tuple[TextClassifier, torch.Tensor]:
    """The classifier of a fold and its logits for the held-out texts, or those it left behind."""
    finished = place is not None and (place / HELD_OUT).is_file()
    if place is not None and finished:
        found = json.loads((place / HELD_OUT).read_text("utf-8"))
        return load_classifier(place), torch.tensor(found, dtype=torch.float32)
    classifier: TextClassifier
    if str(model) in BASELINES:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)  # what a stopped training left of it
        classifier = train_baseline(str(model), splits, out=place, progress=progress, **settings)
    else:
        classifier = fine_tune(
            model, splits, out=place, resume=resume, progress=progress, **settings
        )  # fmt: skip
    logits = classifier.logits(texts)
    if place is not None:
        # fp32 written in decimal comes back bit by bit. This file says that the fold is finished.
        write_atomically(place / HELD_OUT, json.dumps(logits.tolist()).encode())
    return classifier, logits


def open_state(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Begin in `folder`, or go on there with the same folds of the same data."""
    path = folder / STATE
    now = json.loads(json.dumps(identity, default=str))
    if path.is_file():
        if not resume:
            raise SettingsError(
                f"{folder} already holds a cross-validation. Go on with it by --resume "
                "(resume=True), or give another folder."
            )
        refuse_other_run(folder, json.loads(path.read_text("utf-8"))["identity"], now)
    elif (folder / "config.json").exists():
        raise SettingsError(f"{folder} already holds a classifier. Give another folder.")
    else:
        write_atomically(path, json.dumps({"identity": now}, ensure_ascii=False).encode())


def write_results(
    folder: Path, result: CrossValidation, identity: Mapping[str, Any], names: list[str]
) -> None:
    """The scores, the predictions as a table, and the file that makes the folder an ensemble."""
    import pandas as pd

    probabilities = torch.softmax(result.logits, dim=-1).numpy()  # (n, C)
    rows = np.arange(len(result.true))
    table = pd.DataFrame(
        {
            "row": rows,
            "fold": result.fold_of + 1,
            "label": [names[i] for i in result.true],
            "predicted": [names[i] for i in result.predicted],
            "probability_of_label": probabilities[rows, result.true].round(6),
        }
    )
    content = table.to_csv(index=False, lineterminator="\n")
    write_atomically(folder / "out_of_fold.csv", content.encode())
    state = {"identity": identity, **result.to_dict()}
    content = json.dumps(state, ensure_ascii=False, indent=2, default=str)
    write_atomically(folder / STATE, content.encode())
    write_config(folder, [f"fold-{i + 1}" for i in range(len(result.folds))], names)


def _say(line: str, progress: bool) -> None:
    if progress:
        tqdm.write(line, file=sys.stderr)
