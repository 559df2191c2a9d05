"""The speed table measures both sides on the same task, each in a process of its own."""

import json
import time

import pytest
import torch

from companion.bench.fine_tuning import SIDES, Stopwatch, fine_tuning_rows, seconds_to
from companion.classification.encoders import load_encoder


def test_both_sides_start_from_the_same_weights():
    one, two = (load_encoder("mini", ["a", "b"], seed=3)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_clock_stands_still_while_dev_is_looked_at():
    watch = Stopwatch(lambda: time.sleep(0.2) or 0.75, every=2)
    watch.start()
    for step in range(1, 6):
        watch.watch(step)
    watch.stop()
    assert [accuracy for _, accuracy in watch.curve] == [0.75, 0.75]
    assert watch.seconds < 0.1


def test_the_time_to_an_accuracy_is_that_of_the_first_look_that_saw_it():
    assert seconds_to(0.8, [(1.0, 0.5), (2.0, 0.8), (3.0, 0.7), (4.0, 0.9)]) == 2.0


@pytest.mark.slow
def test_a_row_for_each_side_with_its_speed_score_and_memory():
    table = fine_tuning_rows("sample-en", rows=64, repeats=1)
    assert [row["side"] for row in table] == list(SIDES)
    assert table[0]["ratio"] == 1
    assert table[-1]["ratio"] == table[-1]["examples/s"] / table[0]["examples/s"]
    for row in table:
        assert row["examples/s"] > 0 and row["peak MiB"] > 100
        assert 0 <= row["dev accuracy"] <= 1
        (to,) = (value for name, value in row.items() if name.startswith("s to "))
        assert 0 < to <= 64 / row["examples/s"]
    json.dumps(table)
