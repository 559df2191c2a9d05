"""Markdown that a reader would see as stars: `**重要：**权重` is not bold."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[2]
MARKDOWN = MarkdownIt("commonmark").use(dollarmath_plugin).enable("table")


def stray_stars(text: str) -> list[str]:
    """The pieces of text in which `**` is left over after CommonMark has read its emphasis."""
    inline = [token for token in MARKDOWN.parse(text) if token.type == "inline"]
    return [
        child.content
        for token in inline
        for child in token.children
        if child.type == "text" and "**" in child.content
    ]


def markdown_sources() -> Iterator[tuple[str, str]]:
    """(where, text) of every page and every Markdown cell of every edition."""
    for path in sorted((ROOT / "chapters").rglob("*.md")):
        yield path.name, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        for index, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                yield f"{path.name}, cell {index}", "".join(cell["source"])


@pytest.mark.parametrize(
    ("text", "is_stray"),
    [
        ("**重要：**权重", True),
        ("**（注意）**力", True),
        ("权重**“注意”**力", True),
        ("**重要**：权重", False),
        ("a **bold** word, `2**3` and $a**b$", False),
    ],
)
def test_stray_stars_are_found(text, is_stray):
    assert bool(stray_stars(text)) == is_stray


def test_bold_is_bold_in_every_page():
    stray = [(where, piece) for where, text in markdown_sources() for piece in stray_stars(text)]
    assert not stray, "Put the punctuation outside the asterisks."
