"""What counts as a change of code, and what does not."""

import copy

import nbformat
import pytest
from stamps import code_hash, module_hash, module_hashes, stale


@pytest.fixture
def notebook(stored):
    return nbformat.read(stored, as_version=4)


def test_a_fresh_run_is_not_stale(notebook, root):
    assert stale(notebook, root) == []


def test_a_notebook_that_was_never_run_by_the_machinery_is_stale(notebook, root):
    del notebook.metadata["companion"]
    assert "carry no stamp" in stale(notebook, root)[0]


@pytest.mark.parametrize(
    "source",
    [
        "print(double(rows + 0))",
        "!echo print",
        "print(double(rows))\nNone",
        "print(double('rows'))",
    ],
)
def test_another_statement_in_a_cell_makes_the_outputs_stale(notebook, root, source):
    notebook.cells[3].source = source
    assert stale(notebook, root) == [
        "the code cells changed after the stored run; run the chapter again"
    ]


def test_a_cell_added_moved_or_removed_makes_the_outputs_stale(notebook, root):
    for cells in (
        [*notebook.cells, nbformat.v4.new_code_cell("0")],
        notebook.cells[:-3],
        [*notebook.cells[:3], notebook.cells[4], notebook.cells[3], *notebook.cells[5:]],
    ):
        changed = copy.deepcopy(notebook)
        changed.cells = cells
        assert stale(changed, root)


def test_comments_formatting_and_prose_do_not(notebook, root):
    before = code_hash(notebook, root)
    notebook.cells[3].source = "# Twice the rows.\nprint( double(rows) )\n\n"
    notebook.cells[0].source = "# Another title"
    assert code_hash(notebook, root) == before


def test_the_repository_s_address_does_not(notebook, root):
    before = code_hash(notebook, root)
    settings = root / "book/settings.toml"
    settings.write_text(settings.read_text().replace("some-owner/some-name", "an/other"))
    notebook.cells[1].source = notebook.cells[1].source.replace("some-owner/some-name", "an/other")
    assert code_hash(notebook, root) == before


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ('"""Twice."""', '"""Two times."""', False),
        ('"""A room."""\n', "# A room.\n", False),
        ("2 * number", "(2*number)  # twice", False),
        ("2 * number", "number * 2", True),
        ("def double(number)", "def double(number=1)", True),
    ],
)
def test_a_module_counts_as_changed_when_its_code_did(notebook, root, old, new, changes):
    room = root / "companion/room.py"
    before = room.read_text(encoding="utf-8")
    assert old in before
    room.write_text(before.replace(old, new), encoding="utf-8")
    assert bool(stale(notebook, root)) is changes


@pytest.mark.parametrize(
    ("addition", "changes"),
    [
        ("from companion.unused import VALUE\n\n__all__ = ['VALUE']\n", False),
        ("from companion.room import double\n\ndouble = lambda number: number\n", True),
    ],
)
def test_a_package_may_pass_on_another_name(notebook, root, addition, changes):
    hashes = notebook.metadata["companion"]["stamp"]["modules"]
    package = root / "companion/__init__.py"
    hashes["companion"] = module_hash("companion", root)
    package.write_text(package.read_text(encoding="utf-8") + addition, encoding="utf-8")
    assert bool(stale(notebook, root)) is changes


def test_a_module_that_is_gone_makes_the_outputs_stale(notebook, root):
    (root / "companion/room.py").unlink()
    assert "companion.room changed" in stale(notebook, root)[0]


def test_a_module_that_the_run_did_not_import_does_not(notebook, root):
    (root / "companion/unused.py").write_text("VALUE = 2\n", encoding="utf-8")
    assert stale(notebook, root) == []


@pytest.mark.parametrize(
    ("source", "whole"),
    [
        ("!companion check sample-en", True),
        ("%%bash\nls\ncompanion check sample-en", True),
        ("import subprocess\n\nsubprocess.run(['companion', 'check', 'sample-en'])", True),
        ("!pip install companion", False),
        ("print('companion')", False),
    ],
)
def test_a_command_in_a_cell_ties_the_outputs_to_the_whole_package(notebook, root, source, whole):
    notebook.cells[3].source = source
    hashes = module_hashes(notebook, ["companion.room"], root)
    every = {"companion", "companion.room", "companion.unused"}
    assert set(hashes) == (every if whole else {"companion.room"})
    assert hashes["companion.room"] == module_hash("companion.room", root)
