"""The speed table measures both sides on the same task, each in a process of its own."""

import json

import pytest
import torch

from companion.bench.fine_tuning import SIDES, fine_tuning_rows
from companion.classification.encoders import load_encoder


def test_both_sides_start_from_the_same_weights():
    one, two = (load_encoder("mini", ["a", "b"], seed=3)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_row_for_each_side_with_its_speed_score_and_memory():
    table = fine_tuning_rows("sample-en", rows=64, repeats=1)
    assert [row["side"] for row in table] == list(SIDES)
    assert table[0]["ratio"] == 1
    assert table[1]["ratio"] == table[1]["examples/s"] / table[0]["examples/s"]
    for row in table:
        assert row["examples/s"] > 0 and row["peak MiB"] > 100
        assert 0 <= row["dev accuracy"] <= 1
    json.dumps(table)
