"""A small book in a folder of its own: one chapter that keeps every rule, and a tiny package."""

import shutil
from pathlib import Path

import nbformat
import pytest
import run_chapters
from execution import environment
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "07_sample"
ADDRESS = "https://github.com/some-owner/some-name"
TITLE = f"""# A sample

You will have a sample. It takes a minute on a CPU, as long on a free Colab GPU, and on a large GPU.

[Open in Colab](https://colab.research.google.com/github/some-owner/some-name/blob/main/chapters/en/{NAME}.ipynb)
"""
INSTALL = f"""\
import importlib.util

if importlib.util.find_spec("companion") is None:
    %pip install --quiet git+{ADDRESS}
from companion.room import double
"""
FIGURE = """\
import matplotlib.pyplot as plt

fig, axes = plt.subplots()
axes.plot([double(rows), 1, rows]);
"""
CHECKER = """\
def check(name, answer):
    verdict = "right" if answer and answer() == 4 else "not yet"
    print("✓" if verdict == "right" else "✗", name, verdict)
"""
QUESTION = """<div class="quiz">
<p><b>{number}.</b> What is twice {number}?</p>
<details><summary>three</summary><p>No: three is odd.</p></details>
<details><summary>none of these</summary><p>No: one of these is right.</p></details>
<details class="right"><summary>the double</summary><p>Right: twice is the double.</p></details>
</div>
"""
CLOSING = """## Five lines to remember

- one
- two
- three
- four
- five

## What comes next

Chapter 8.

## Sources

A book.
"""


def exercise(number: int) -> list:
    """A cell for the reader's answer and the folded solution."""
    solution = new_code_cell(f'def four():\n    return 4\n\n\ncheck("7.{number}", four)')
    solution.metadata = {"tags": ["solution", "hide-cell"], "jupyter": {"source_hidden": True}}
    return [new_code_cell(f'def four(): ...\n\n\ncheck("7.{number}", four)'), solution]


def sample_chapter() -> nbformat.NotebookNode:
    """A chapter without outputs that keeps every rule once it has run."""
    knobs = new_code_cell("rows = 3\nnames: list[str] = ['a', 'b']")
    knobs.metadata.tags = ["parameters"]
    quiz = "\n".join(QUESTION.format(number=number) for number in range(1, 5))
    return new_notebook(
        cells=[
            new_markdown_cell(TITLE),
            new_code_cell(INSTALL),
            knobs,
            new_code_cell("print(double(rows))"),
            new_code_cell(FIGURE),
            new_code_cell(FIGURE),
            new_markdown_cell("## Common mistake: to double twice\n\nFour times is not twice."),
            new_markdown_cell("## Exercises"),
            new_code_cell(CHECKER),
            *[cell for number in (1, 2, 3) for cell in exercise(number)],
            new_markdown_cell("## Quiz\n\n" + quiz),
            new_markdown_cell(CLOSING),
        ]
    )


def write_book(root: Path) -> Path:
    """A book with one chapter that has not run yet; returns the chapter's path."""
    for folder in ("book", "chapters/en", "chapters/zh", "companion"):
        (root / folder).mkdir(parents=True)
    settings = f'repository = "{ADDRESS}"\nbranch = "main"\n'
    (root / "book/settings.toml").write_text(settings, encoding="utf-8")
    (root / "chapters/small.toml").write_text(f"[{NAME}]\nrows = 2\n", encoding="utf-8")
    (root / "companion/__init__.py").write_text('"""Tiny."""\n', encoding="utf-8")
    room = '"""A room."""\n\n\ndef double(number):\n    """Twice."""\n    return 2 * number\n'
    (root / "companion/room.py").write_text(room, encoding="utf-8")
    (root / "companion/unused.py").write_text("VALUE = 1\n", encoding="utf-8")
    path = root / f"chapters/en/{NAME}.ipynb"
    nbformat.write(sample_chapter(), path)
    return path


@pytest.fixture(scope="session")
def stored_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of the small book after a full run; tests change copies of it."""
    root = tmp_path_factory.mktemp("stored").resolve() / "checkout"
    path = write_book(root)
    with environment(PYTHONPATH=str(root)):
        run_chapters.run_full(path, root)
    return root


@pytest.fixture
def stored(stored_book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the chapter in a copy of the small book with stored outputs."""
    root = tmp_path.resolve() / "checkout"
    shutil.copytree(stored_book, root)
    # The kernel imports the tiny `companion` beside the chapter.
    monkeypatch.setenv("PYTHONPATH", str(root))
    return root / f"chapters/en/{NAME}.ipynb"


@pytest.fixture
def root(stored: Path) -> Path:
    """Root of the copy in which `stored` lies."""
    return stored.parents[2]
