"""The pretraining table compares equal models on the same lines, and counts real tokens only."""

import json

import pytest
import torch

from companion.bench import pretraining
from companion.bench.pretraining import SIDES, pretraining_rows, write_lines
from companion.pretraining.opening import ASSETS
from companion.text import WordPieceTokenizer


def test_both_sides_get_the_same_lines(tmp_path):
    text = tmp_path / "lines.txt"
    write_lines(["sample-zh", "sample-en"], 20, text)
    lines = [line for line in text.read_text("utf-8").splitlines() if line]
    assert len(lines) == 40


@pytest.mark.slow
def test_a_row_for_each_side(monkeypatch, tmp_path):
    # In this process: what a fresh one would cost is no part of what is tested.
    monkeypatch.setattr(pretraining, "run_apart", pretraining.run_side)
    monkeypatch.setattr(pretraining, "BATCH_SIZE", 8)
    torch.set_num_threads(1)
    table = pretraining_rows("sample-en", rows=20, repeats=1)
    assert [row["side"] for row in table] == list(SIDES)
    usual, _, _, own = table
    assert usual["ratio"] == 1 and usual["precision"] == "fp32"
    assert own["ratio"] == pytest.approx(own["tokens/s"] / usual["tokens/s"])
    assert 0 <= own["padding"] < usual["padding"] < 1
    text = tmp_path / "lines.txt"
    write_lines(["sample-en"], 20, text)
    tokenizer = WordPieceTokenizer.from_folder(ASSETS)
    lines = [line for line in text.read_text("utf-8").splitlines() if line]
    assert usual["tokens"] == sum(len(tokenizer.encode(line, max_length=128).ids) for line in lines)
    json.dumps(table)
