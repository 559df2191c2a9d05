"""Every chapter, from its first cell to its last, at its small size and with no network.

The Chinese edition has the same code cells (test_stored.py), so one run serves both.
"""

import re

import pytest
from chapter_rules import CHECK
from run_chapters import chapters, run_small
from stamps import ROOT

pytestmark = [pytest.mark.chapter, pytest.mark.slow]


@pytest.mark.parametrize("path", chapters(ROOT), ids=lambda path: path.stem)
def test_the_chapter_runs_and_its_solutions_are_found_right(path):
    cells = [cell for cell in run_small(path).notebook.cells if cell.cell_type == "code"]
    verdicts = {
        (name, mark)
        for cell in cells
        if "solution" in cell.metadata.get("tags", [])
        for output in cell.outputs
        for mark, name in re.findall(r"^([✓✗]) (\d+\.\d+) ", output.get("text", ""), re.MULTILINE)
    }
    names = {name for cell in cells for name in CHECK.findall(cell.source)}
    assert names
    assert verdicts == {(name, "✓") for name in names}
