"""Better settings within a number of minutes (chapter 13).

Optuna (Akiba et al. 2019) proposes: its tree-structured Parzen estimator (Bergstra et al. 2011)
draws settings that look more like the good trials than like the bad ones. A trial whose dev score
falls below the median of the others at the same evaluation is given up (Golovin et al. 2017).
The first trial has the defaults, so the best is never worse on dev. The test split is laid aside
before anything else is done.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from tqdm.auto import tqdm

from companion.classification.classifier import Classifier
from companion.classification.encoders import first_line
from companion.classification.fine_tune import fine_tune
from companion.classification.result import save_run
from companion.classification.splits import as_splits, class_names, fingerprint, with_dev_split
from companion.classification.tuning.search_files import read_trials, write_results, write_trials
from companion.classification.tuning.search_result import Search, State, Trial
from companion.classification.tuning.search_space import (
    Space,
    default_space,
    distributions,
    nearest_point,
    refuse_space,
    tidy,
    usual_settings,
)
from companion.errors import DataError, SettingsError, TrainingError
from companion.training.history import History

METRICS = ("accuracy", "macro_f1")
now = time.monotonic


class Stopped(Exception):  # noqa: N818 (no error: the search means it)
    """A trial that is not to go on."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state: State = state


class Clock:
    """The budget of a search in seconds, of which earlier parts have spent some; draws the bar."""

    def __init__(self, budget: float, spent: float, *, shown: bool) -> None:
        self.budget, self.began = budget, now() - spent
        self.bar = tqdm(
            total=round(budget), initial=min(spent, budget), desc="search", disable=not shown,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total} s{postfix}",
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return now() - self.began

    def tick(self) -> None:
        """Move the bar."""
        self.bar.update(min(self.seconds, self.budget) - self.bar.n)

    def has_room(self, trials: Sequence[Trial]) -> bool:
        """Whether another trial can be through in time: one as short as the shortest so far."""
        needed = min((t.seconds for t in trials if t.dev is not None), default=0.0)
        return self.budget - self.seconds > needed


def search(
    model: str | Path,
    data: DatasetDict | Dataset | str | Path,
    minutes: float = 30.0,
    *,
    trials: int | None = None,
    metric: str = "accuracy",
    space: Space | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 42,
    progress: bool = True,
    **settings: Any,
) -> Search:
    """Fine-tune again and again with other settings, and say which were best on dev.

    Args:
        model, data: as for `fine_tune`. Without a "dev" split a tenth of "train" is held out, the
            same for all trials.
        minutes: the budget, over all parts of a search that is resumed. A trial that is not
            through by then is stopped after its next update.
        trials: end after so many, though minutes are left.
        metric: "accuracy" or "macro_f1".
        space: by name of a setting of `fine_tune`, a `Span` or a list of choices; by default the
            learning rate, epochs, batch size and regularisers around the defaults.
        out: folder for search.json, trials.csv, search.png, best.json and best/, the classifier of
            the best trial.
        resume: go on with a search that was stopped, or that deserves more minutes.
        seed: of the data, of each training, and of the proposals.
        settings: of `fine_tune`, the same in all trials; they leave the space.

    Raises:
        SettingsError: impossible settings, Optuna is missing, or `out` holds another search.
        DataError: the table cannot be trained on, or is too small for a dev split.
        TrainingError: no trial was complete in time.
    """
    optuna = _optuna()
    if metric not in METRICS:
        raise SettingsError(f"metric is {metric!r}; it is one of {', '.join(METRICS)}.")
    if not minutes > 0 or (trials is not None and trials < 1):
        raise SettingsError(f"minutes is {minutes} and trials {trials}; both must be above 0.")
    name = str(data) if isinstance(data, str | Path) else "DATA"
    data, notes = with_dev_split(as_splits(data), seed)
    if "dev" not in data:
        raise DataError("There are too few texts to hold some out, and a search needs a dev split.")
    data = DatasetDict({split: data[split] for split in ("train", "dev")})
    if space is not None:
        refuse_space(space, settings)
    usual = usual_settings(str(model), data["train"], class_names(data), settings)
    if space is None:
        space = default_space(usual, settings)
        refuse_space(space, settings)
    folder = None if out is None else Path(out)
    identity = {
        "model": str(model), "metric": metric, "seed": seed, "data": fingerprint(data),
        "space": {name: repr(values) for name, values in space.items()}, "settings": settings,
    }  # fmt: skip
    done = read_trials(folder, identity, resume=resume)
    fixed = {**settings, "seed": seed}
    study = optuna.create_study(
        direction="maximize",
        # The sampler starts anew with each part of a search; it must not repeat itself.
        sampler=optuna.samplers.TPESampler(seed=seed + len(done)),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=1),
    )
    possible = distributions(space)
    for trial in done:
        remember(study, trial, possible, metric)
    if not done:
        study.enqueue_trial(nearest_point(space, usual))
    clock = Clock(60 * minutes, done[-1].ended if done else 0.0, shown=progress)
    found = Search(str(model), metric, tuple(done), fixed, minutes, tuple(notes))
    while (trials is None or len(done) < trials) and clock.has_room(done):
        asked = study.ask(possible)
        point = {key: tidy(space[key], value) for key, value in asked.params.items()}
        trial, classifier = run_trial(
            model, data, Trial(len(done), point, "failed"), asked, metric, clock, fixed
        )
        done.append(trial)
        found = Search(str(model), metric, tuple(done), fixed, minutes, tuple(notes))
        if classifier is not None and found.best is trial:
            clock.bar.set_postfix_str(f", best {found.score(trial):.2%}")
            if folder is not None:
                save_run(classifier, folder / "best")
        tell(study, asked, trial, metric)
        if folder is not None:
            write_trials(folder, identity, done)
        if progress:
            tqdm.write(str(trial), file=sys.stderr)
    clock.bar.close()
    _ = found.best  # says why, where no trial was complete
    if folder is not None:
        write_results(folder, identity, found, name)
    return found


def run_trial(
    model: str | Path,
    data: DatasetDict,
    trial: Trial,
    asked: Any,
    metric: str,
    clock: Clock,
    fixed: dict[str, Any],
) -> tuple[Trial, Classifier | None]:
    """Fine-tune with the settings of a trial; the classifier where it was complete."""
    began, seen = clock.seconds, 0
    curve: list[float] = []

    def watch(_: int, history: History) -> None:
        nonlocal seen
        clock.tick()
        for record in history.records[seen:]:
            if record["kind"] == "eval":
                curve.append(record[f"dev_{metric}"])
                asked.report(curve[-1], len(curve) - 1)
                if asked.should_prune():
                    raise Stopped("pruned")
        seen = len(history.records)
        if clock.seconds >= clock.budget:
            raise Stopped("out of time")

    classifier, dev, reason = None, None, ""
    state: State = "failed"
    options = {"best_metric": f"dev_{metric}", **fixed, **trial.settings}
    try:
        classifier = fine_tune(model, data, watch=watch, progress=False, **options)
        state, dev = "complete", classifier.result.dev if classifier.result else None
    except Stopped as stopped:
        state = stopped.state
    except (TrainingError, torch.OutOfMemoryError) as error:
        reason = first_line(error)
    ended = clock.seconds
    return replace(
        trial, state=state, dev=dev, curve=tuple(curve), reason=reason,
        seconds=round(ended - began, 2), ended=round(ended, 2),
    ), classifier  # fmt: skip


def tell(study: Any, asked: Any, trial: Trial, metric: str) -> None:
    """What became of a proposal, for the next ones.

    To the sampler a failure is worse than any score; running out of time says nothing.
    """
    states = _optuna().trial.TrialState
    if trial.dev is not None:
        study.tell(asked, getattr(trial.dev, metric))
    else:
        study.tell(asked, state=states.FAIL if trial.state == "out of time" else states.PRUNED)


def remember(study: Any, trial: Trial, possible: dict[str, Any], metric: str) -> None:
    """A trial of an earlier part of the search, as if it had just been told."""
    if trial.state == "out of time":
        return
    kind = _optuna().trial
    complete = trial.dev is not None
    study.add_trial(
        kind.create_trial(
            state=kind.TrialState.COMPLETE if complete else kind.TrialState.PRUNED,
            params=trial.settings,
            distributions=possible,
            value=getattr(trial.dev, metric) if complete else None,
            intermediate_values=dict(enumerate(trial.curve)),
        )
    )


def _optuna() -> Any:
    """Optuna, which reports nothing by itself."""
    try:
        import optuna
    except ImportError:
        raise SettingsError(
            'The search needs Optuna: pip install "companion[search]", or pip install optuna.'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
