"""One run of a chapter: top to bottom in a fresh kernel of this environment, by Papermill."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from nbformat import NotebookNode
from outputs import merge_streams
from papermill.exceptions import PapermillExecutionError

FACTS = Path(__file__).with_name("kernel_facts.py")


class ChapterError(Exception):
    """A chapter that cannot be run, or whose outputs cannot be stored, in a sentence."""


@dataclass(frozen=True)
class Run:
    """A run that reached its last cell.

    `modules` are the modules of `companion` that it imported, `seconds` its wall clock from the
    first cell to the last, `names` the folders of this machine and what a page shows instead.
    """

    notebook: NotebookNode
    modules: list[str]
    versions: dict[str, str]
    device: str
    seconds: float
    names: dict[str, str]


@contextmanager
def environment(**changes: str | None) -> Iterator[None]:
    """Set environment variables for a while; None removes one."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in changes.items() if value is not None})
    for name in [name for name, value in changes.items() if value is None]:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def execute(
    path: Path,
    root: Path,
    parameters: dict[str, object] | None = None,
    variables: dict[str, str | None] | None = None,
    seconds_per_cell: int | None = None,
) -> Run:
    """Run the notebook at `path` in an empty folder; the file itself is only read.

    `parameters` take the place of the values in the cell tagged `parameters`; `variables` are
    environment variables of the kernel (None removes one). What was done when a cell fails is
    left in `runs/chapters` below `root`.

    Raises ChapterError when a cell fails, or takes longer than `seconds_per_cell`.
    """
    notebook = nbformat.read(path, as_version=4)
    probe = nbformat.v4.new_code_cell(FACTS.read_text(encoding="utf-8"))
    notebook.cells.append(probe)
    partial = root / "runs/chapters" / path.name
    partial.parent.mkdir(parents=True, exist_ok=True)
    data = os.environ.get("COMPANION_DATA")
    settings: dict[str, str | None] = {
        # The kernel of this environment, whatever the user's own list of kernels holds, and
        # with figures drawn in the page.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLBACKEND": None,
        "COMPANION_DATA": str(Path(data).resolve()) if data else None,
    }
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="chapter-") as folder:
        with environment(**settings | (variables or {})):
            try:
                done = papermill.execute_notebook(
                    notebook,
                    partial,
                    parameters=parameters,
                    kernel_name="python3",
                    cwd=folder,
                    progress_bar=sys.stderr.isatty(),
                    execution_timeout=seconds_per_cell,
                )
            except PapermillExecutionError as error:
                raise ChapterError(
                    f"{path.name}: code cell {error.exec_count} ended with {error.ename}: "
                    f"{error.evalue}; what ran before it is in runs/chapters/{path.name}"
                ) from error
        names = {f"{Path(folder).resolve()}/": "", f"{root}/": ""}
        if data:
            names[str(Path(data).resolve())] = "$COMPANION_DATA"
    seconds = time.perf_counter() - start
    partial.unlink()
    for cell in done.cells:
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
    facts = json.loads(done.cells.pop().outputs[-1].text)
    outside = [file for file in facts["modules"].values() if not Path(file).is_relative_to(root)]
    if outside:
        raise ChapterError(
            f"{path.name} imported {outside[0]}, not the companion of this checkout; "
            "install it with `make environment`"
        )
    return Run(
        done, list(facts["modules"]), facts["versions"], facts["device"], round(seconds, 1), names
    )
