"""What a search writes: its trials, so that it can go on, and its result (chapter 13)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.classification.tuning.search_result import Search, Trial
from companion.errors import SettingsError
from companion.training import write_atomically
from companion.training.checkpoints import refuse_other_run, saving_failed

STATE = "search.json"


def read_trials(folder: Path | None, identity: Mapping[str, Any], *, resume: bool) -> list[Trial]:
    """The trials that an earlier call left in `folder`.

    Raises:
        SettingsError: there is another search, or this one and nobody asked to resume it.
    """
    if folder is None or not (folder / STATE).is_file():
        return []
    if not resume:
        raise SettingsError(
            f"{folder} already holds a search. Go on with it by --resume (resume=True), or give "
            "another folder."
        )
    state = json.loads((folder / STATE).read_text("utf-8"))
    refuse_other_run(folder, state["identity"], json.loads(json.dumps(identity, default=str)))
    return [Trial.from_dict(row) for row in state["trials"]]


def write_trials(folder: Path, identity: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Everything that `read_trials` needs, whole or not at all."""
    state = {"identity": identity, "trials": [trial.to_dict() for trial in trials]}
    content = json.dumps(state, ensure_ascii=False, indent=1, default=str)
    write_atomically(folder / STATE, content.encode())


def write_results(folder: Path, identity: Mapping[str, Any], search: Search, data: str) -> None:
    """trials.csv, search.png, and best.json with the command that trains the best again."""
    import matplotlib
    import pandas as pd

    from companion.classification.tuning.search_plot import search_plot

    write_trials(folder, identity, search.trials)
    table = pd.DataFrame(search.table()).to_csv(index=False, lineterminator="\n")
    write_atomically(folder / "trials.csv", table.encode())
    best = {
        "settings": search.settings,
        "dev": search.best.dev and search.best.dev.to_dict(),
        "command": search.command(data),
        "advice": search.advice(),
    }
    content = json.dumps(best, ensure_ascii=False, indent=2, default=str)
    write_atomically(folder / "best.json", content.encode())
    # Another backend would ask for a screen.
    with matplotlib.rc_context({"backend": "agg"}):
        path = folder / "search.png"
        try:
            search_plot(search).savefig(path, dpi=150)
        except OSError as error:
            raise saving_failed(path, error) from error
