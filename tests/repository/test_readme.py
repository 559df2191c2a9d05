"""What the README says of the chapters is what the notebooks say of themselves."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.M)
ROWS = {int(number): cells for number, *cells in ROW.findall(README)}
NOTEBOOKS = sorted((ROOT / "chapters" / "en").glob("[0-9]*.ipynb"))


def test_every_chapter_of_the_course_has_a_row():
    assert sorted(ROWS) == list(range(1, 22))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_written_chapter_is_linked_and_its_time_is_that_of_its_stamp(path):
    title, state, time = ROWS[int(path.name[:2])]
    assert f"(chapters/en/{path.name})" in title and state == "written"
    stamp = json.loads(path.read_text("utf-8"))["metadata"]["companion"]["stamp"]
    assert time == f"{round(stamp['seconds'] / 60)} min, {stamp['device']}"


def test_the_others_are_planned_and_promise_nothing():
    written = {int(path.name[:2]) for path in NOTEBOOKS}
    for number, (title, state, time) in ROWS.items():
        if number not in written:
            assert "](" not in title and (state, time) == ("planned", "–")


def test_the_speed_table_is_that_of_the_stored_measurement():
    stored = json.loads((ROOT / "tests/bench/measured.json").read_text("utf-8"))
    assert stored["machine"].replace("; torch", ", torch") in README
    for row in stored["tables"]["fine-tuning"]:
        cells = (
            f"| {row['side']} | {row['examples/s']:.1f} | {row['ratio']:.1f} | "
            f"{row['dev accuracy']:.1%} | {row['peak MiB']:,.0f} |"
        )
        assert cells in README


def pairs(table, *keys):
    """Rows of a table two by two: the other side's and ours, of one kind."""
    stored = json.loads((ROOT / "tests/bench/measured.json").read_text("utf-8"))
    rows = stored["tables"][table]
    ours = [row for row in rows if row["side"] == "companion"]
    for own in ours:
        others = [r for r in rows if all(r[k] == own[k] for k in keys) and r["ratio"] == 1]
        yield others[0], own


def test_the_speed_of_the_network_is_that_of_the_stored_measurement():
    for other, own in pairs("encoder", "batches", "precision"):
        assert (
            f"| {own['batches']}, {own['precision']} | {other['tokens/s']:,.0f} | "
            f"{own['tokens/s']:,.0f} | {own['ratio']:.2f} | {other['peak MiB']:,.0f} | "
            f"{own['peak MiB']:,.0f} |"
        ) in README


def test_the_speed_of_the_tokenizer_is_that_of_the_stored_measurement():
    for other, own in pairs("tokenizer", "data"):
        speeds = f"{other['1000 characters/s']:,.0f} | {own['1000 characters/s']:,.0f}"
        assert f"| {own['data']} | {speeds} | {own['ratio']:.1f} |" in README


def test_the_speed_of_pretraining_is_that_of_the_stored_measurement():
    stored = json.loads((ROOT / "tests/bench/measured.json").read_text("utf-8"))
    for row in stored["tables"]["pretraining"]:
        assert f"{row['tokens']:,} " in README
        assert (
            f"| {row['side']}, {row['precision']} | {row['tokens/s']:,.0f} | "
            f"{row['ratio']:.1f} | {row['padding']:.0%} |"
        ) in README
