"""Running a chapter and storing its outputs, tried on the small book of conftest.py."""

import json
from pathlib import Path

import nbformat
import pytest
from execution import ChapterError
from run_chapters import find_chapter, keep_outputs, run_full, run_small, small_values
from stamps import read_stamp, stale


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def add_cell(path: Path, source: str) -> None:
    notebook = read(path)
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, path)


def test_a_full_run_stores_the_outputs_of_every_cell_and_changes_nothing_else(stored, root):
    notebook = read(stored)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert code[2].outputs[0].text == "6\n"
    assert "image/png" in code[3].outputs[0].data
    assert all(set(cell.metadata) <= {"tags", "jupyter"} for cell in notebook.cells)
    assert set(notebook.metadata) <= {"companion", "kernelspec", "language_info"}
    assert not list((root / "runs/chapters").iterdir())
    nbformat.validate(notebook)


def test_the_stamp_says_what_ran_where_and_for_how_long(stored):
    stamp = read_stamp(read(stored))
    assert set(stamp["modules"]) == {"companion", "companion.room"}
    assert set(stamp["versions"]) == {"python", "torch", "transformers", "datasets", "companion"}
    assert stamp["device"].split("-core ")[0].isdigit()
    assert stamp["device"].endswith("CPU")
    assert 0 < stamp["seconds"] < 300
    assert json.loads(json.dumps(stamp)) == stamp


def test_a_slow_print_is_one_output(stored, root):
    add_cell(stored, "import time\n\nfor i in range(3):\n    print(i)\n    time.sleep(0.4)")
    run_full(stored, root)
    assert [output.text for output in read(stored).cells[-1].outputs] == ["0\n1\n2\n"]


def test_a_failing_cell_leaves_the_stored_chapter_as_it_was(stored, root):
    add_cell(stored, "1 / 0")
    before = stored.read_bytes()
    with pytest.raises(ChapterError, match="ended with ZeroDivisionError: division by zero"):
        run_full(stored, root)
    assert stored.read_bytes() == before
    assert (root / "runs/chapters" / stored.name).exists()


def test_outputs_that_are_not_fit_are_not_stored(stored, root):
    add_cell(stored, "import warnings\n\nwarnings.warn('look out')")
    before = stored.read_bytes()
    with pytest.raises(ChapterError, match=r"wrote on standard error: .*look out"):
        run_full(stored, root)
    assert stored.read_bytes() == before


def test_the_chapter_runs_in_an_empty_folder_whose_name_is_not_shown(stored, root):
    add_cell(
        stored,
        "from pathlib import Path\n\n"
        "print(list(Path().iterdir()))\nPath('made').touch()\nprint(Path('made').resolve())",
    )
    run_full(stored, root)
    assert read(stored).cells[-1].outputs[0].text == "[]\nmade\n"
    assert not (stored.parent / "made").exists()


def test_the_chinese_edition_gets_the_outputs_and_keeps_its_prose(stored, root):
    twin = read(stored)
    for cell in twin.cells:
        if cell.cell_type == "markdown":
            cell.source = "# 样章"
        else:
            cell.outputs, cell.execution_count = [], None
    path = root / "chapters/zh" / stored.name
    nbformat.write(twin, path)
    run_full(stored, root)
    assert read(path).cells[0].source == "# 样章"
    assert read(path).cells[3].outputs == read(stored).cells[3].outputs
    assert stale(read(path), root) == []


def test_a_chinese_edition_with_other_code_is_refused(stored, root):
    path = root / "chapters/zh" / stored.name
    nbformat.write(read(stored), path)
    add_cell(path, "print('more')")
    before = path.read_bytes()
    with pytest.raises(ChapterError, match="other code cells than the English edition"):
        run_full(stored, root)
    assert path.read_bytes() == before


def test_a_small_run_takes_its_values_and_sees_neither_data_nor_network(stored, root, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(root))
    add_cell(
        stored,
        "import os\n\nprint(rows, os.environ.get('COMPANION_DATA'), os.environ['HF_HUB_OFFLINE'])",
    )
    before = stored.read_bytes()
    done = run_small(stored, root)
    assert done.notebook.cells[-1].outputs[0].text == "2 None 1\n"
    assert stored.read_bytes() == before


def test_a_chapter_without_small_values_is_told_what_to_add(stored, root):
    (root / "chapters/small.toml").write_text("", encoding="utf-8")
    with pytest.raises(ChapterError, match=r"has no row \[07_sample\]; add one"):
        small_values(stored, root)


def test_keep_puts_a_harmless_change_on_record(stored, root):
    room = root / "companion/room.py"
    room.write_text(room.read_text().replace("2 * number", "number + number"), encoding="utf-8")
    assert "companion.room changed" in stale(read(stored), root)[0]
    outputs = [cell.get("outputs") for cell in read(stored).cells]
    assert keep_outputs(stored, "the same sum", root) == ["companion.room"]
    assert stale(read(stored), root) == []
    assert [cell.get("outputs") for cell in read(stored).cells] == outputs
    (record,) = read_stamp(read(stored))["kept"]
    assert record["because"] == "the same sum"
    assert record["modules"] == ["companion.room"]


def test_keep_refuses_a_change_with_which_the_chapter_fails(stored, root):
    room = root / "companion/room.py"
    room.write_text("def triple(number):\n    return 3 * number\n", encoding="utf-8")
    before = stored.read_bytes()
    with pytest.raises(ChapterError, match="ImportError"):
        keep_outputs(stored, "renamed", root)
    assert stored.read_bytes() == before


def test_keep_refuses_changed_cells_and_outputs_that_are_up_to_date(stored, root):
    with pytest.raises(ChapterError, match="up to date"):
        keep_outputs(stored, "nothing", root)
    add_cell(stored, "print('more')")
    with pytest.raises(ChapterError, match="outputs of other code"):
        keep_outputs(stored, "more", root)


def test_a_chapter_is_found_by_number_or_name_and_the_others_are_listed(stored, root):
    assert find_chapter("7", root) == find_chapter("07_sample", root) == stored
    with pytest.raises(ChapterError, match="no chapter '8'; there are: 07_sample"):
        find_chapter("8", root)
