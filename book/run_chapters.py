"""Run the book's chapters and store their outputs.

    python book/run_chapters.py run            every chapter, at full size
    python book/run_chapters.py run 10 11      these two
    python book/run_chapters.py lint           what the stored notebooks lack, or should not hold
    python book/run_chapters.py keep 11 --because "the loop moved to another module, unchanged"

A chapter on disk changes only when every cell succeeded and the outputs are fit to be stored;
it then carries a stamp (`stamps.py`). The Chinese edition has the same code cells, so it gets
the outputs of the English run.
"""

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from chapter_rules import chapter_problems
from execution import ChapterError, Run, execute
from nbformat import NotebookNode
from outputs import output_problems, take_outputs, tidy
from stamps import (
    ROOT,
    changed_modules,
    code_hash,
    module_hashes,
    read_stamp,
    today,
    write_stamp,
)

LANGUAGES = ("en", "zh")
SECONDS_PER_CELL = 300  # of a small run; a cell that hangs must not hang the tests
app = typer.Typer(add_completion=False, help="Run the book's chapters and store their outputs.")


def chapters(root: Path = ROOT, language: str = "en") -> list[Path]:
    """The notebooks of one edition, in the book's order."""
    return sorted((root / "chapters" / language).glob("[0-9]*.ipynb"))


def find_chapter(number: str, root: Path = ROOT) -> Path:
    """The English edition of a chapter, by its number (`10`) or its file's name."""
    every = chapters(root)
    found = [p for p in every if number.removesuffix(".ipynb") == p.stem]
    found = found or [p for p in every if p.stem.split("_")[0] == number.zfill(2)]
    if len(found) != 1:
        names = ", ".join(path.stem for path in every) or "none yet"
        raise ChapterError(f"there is no chapter '{number}'; there are: {names}")
    return found[0]


def small_values(path: Path, root: Path = ROOT) -> dict[str, object]:
    """The chapter's row of chapters/small.toml."""
    table = tomllib.loads((root / "chapters/small.toml").read_text(encoding="utf-8"))
    if path.stem not in table:
        raise ChapterError(
            f"chapters/small.toml has no row [{path.stem}]; add one that gives the parameters of "
            f"{path.name} values with which it runs on the shipped sample in about a minute"
        )
    return table[path.stem]


def run_small(path: Path, root: Path = ROOT) -> Run:
    """Run a chapter on the shipped sample, with no network and nobody's data."""
    with tempfile.TemporaryDirectory(prefix="hub-") as empty_cache:
        variables = {"COMPANION_DATA": None, "HF_HUB_OFFLINE": "1", "HF_HOME": empty_cache}
        return execute(path, root, small_values(path, root), variables, SECONDS_PER_CELL)


def replace(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook so that a reader of the file sees the old one or the new one whole."""
    fresh = path.with_suffix(".new")
    nbformat.write(notebook, fresh)
    fresh.replace(path)


def run_full(path: Path, root: Path = ROOT) -> NotebookNode:
    """Run a chapter at full size and store its outputs in both editions."""
    run = execute(path, root)
    notebook = nbformat.read(path, as_version=4)
    if code_hash(run.notebook, root) != code_hash(notebook, root):
        # Somebody edited the code while it ran; hours of outputs are not to be lost for that.
        finished = root / "runs/chapters" / path.name
        finished.parent.mkdir(parents=True, exist_ok=True)
        replace(finished, run.notebook)
        raise ChapterError(
            f"the code cells of {path.name} changed while it ran, so its outputs are not stored; "
            f"the whole run lies in runs/chapters/{path.name}"
        )
    take_outputs(run.notebook, notebook)
    tidy(notebook, run.names)
    stamp = {
        "code_sha256": code_hash(notebook, root),
        "modules": module_hashes(notebook, run.modules, root),
        "versions": run.versions,
        "device": run.device,
        "seconds": run.seconds,
        "date": today(),
    }
    write_stamp(notebook, stamp)
    problems = output_problems(notebook)
    if problems:
        failed = root / "runs/chapters" / path.name
        replace(failed, notebook)
        raise ChapterError(
            f"{path.name} ran, but its outputs are not fit to be stored (they are in "
            f"runs/chapters/{path.name}):\n  " + "\n  ".join(problems)
        )
    replace(path, notebook)
    share_with_twin(path, notebook, root)
    return notebook


def share_with_twin(path: Path, notebook: NotebookNode, root: Path = ROOT) -> None:
    """Give the Chinese edition, where there is one, the outputs and the stamp."""
    twin_path = root / "chapters/zh" / path.name
    if not twin_path.exists():
        return
    twin = nbformat.read(twin_path, as_version=4)
    if code_hash(twin, root) != code_hash(notebook, root):
        raise ChapterError(
            f"chapters/zh/{path.name} has other code cells than the English edition, which is "
            "stored; make them equal and run the chapter again"
        )
    take_outputs(notebook, twin)
    tidy(twin, {})
    write_stamp(twin, read_stamp(notebook))
    replace(twin_path, twin)


def keep_outputs(path: Path, because: str, root: Path = ROOT) -> list[str]:
    """Put on record that a change of modules cannot alter the stored outputs of a chapter.

    Returns the names of the changed modules. Raises ChapterError when the outputs are not stored
    or not outdated, when the cells themselves changed, or when the chapter fails at small size.
    """
    notebook = nbformat.read(path, as_version=4)
    stamp = read_stamp(notebook)
    if stamp is None:
        raise ChapterError(f"{path.name} has no stored run; make one with `make chapters`")
    if stamp["code_sha256"] != code_hash(notebook, root):
        raise ChapterError(
            f"the code cells of {path.name} changed, so a page would show outputs of other code; "
            "run the chapter again"
        )
    changed = changed_modules(notebook, root)
    if not changed:
        raise ChapterError(f"the outputs of {path.name} are up to date: nothing to put on record")
    if not because.strip():
        raise ChapterError("say why the change cannot alter an output: --because 'REASON'")
    run = run_small(path, root)
    stamp["modules"] = module_hashes(notebook, [*stamp["modules"], *run.modules], root)
    record = {"date": today(), "because": because.strip(), "modules": changed}
    stamp.setdefault("kept", []).append(record)
    replace(path, notebook)
    share_with_twin(path, notebook, root)
    return changed


def lint_chapters(root: Path = ROOT) -> list[str]:
    """Everything that the rules of `chapter_rules.py` and `outputs.py` find in the book."""
    found = []
    for language in LANGUAGES:
        for path in chapters(root, language):
            notebook = nbformat.read(path, as_version=4)
            problems = chapter_problems(notebook, path, root) + output_problems(notebook)
            found += [f"{path.relative_to(root)}: {problem}" for problem in problems]
    return found


@app.command("run")
def run_command(
    numbers: Annotated[list[str] | None, typer.Argument(help="chapters; all when none")] = None,
) -> None:
    """Run chapters at full size and store their outputs."""
    for path in [find_chapter(number) for number in numbers or []] or chapters():
        stamp = read_stamp(run_full(path))
        print(f"{path.stem}: stored; ran on {stamp['device']} in {stamp['seconds']:.0f} s")


@app.command("keep")
def keep_command(
    number: str,
    because: Annotated[str, typer.Option(help="why the change cannot alter an output")],
) -> None:
    """Keep a chapter's outputs after a change of modules that cannot alter them."""
    path = find_chapter(number)
    changed = keep_outputs(path, because)
    print(f"{path.stem}: outputs kept although {', '.join(changed)} changed")


@app.command("lint")
def lint_command() -> None:
    """Say what the stored notebooks lack, or should not hold."""
    problems = lint_chapters()
    if problems:
        raise ChapterError("\n".join(problems))
    print(f"{len(chapters()) + len(chapters(language='zh'))} notebooks, nothing to say")


if __name__ == "__main__":
    try:
        app()
    except ChapterError as error:
        sys.exit(str(error))
