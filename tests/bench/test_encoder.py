"""The encoder's speed table compares equal models on equal batches."""

import json

import pytest
import torch

from companion.bench import encoder
from companion.bench.encoder import SIDES, encoder_rows, make_batches, make_model


def test_both_sides_have_the_same_weights_and_compute_the_same():
    theirs, ours = (make_model(side).eval() for side in SIDES)
    batch = make_batches("sample-zh")["mixed"][0]
    real = batch["attention_mask"] == 1
    with torch.no_grad():
        torch.testing.assert_close(
            ours(**batch).last_hidden_state[real],
            theirs(**batch).last_hidden_state[real],
            atol=1e-5,
            rtol=1e-5,
        )


def test_the_batches_are_what_their_names_say():
    batches = make_batches("sample-zh")
    assert all(batch["input_ids"].shape == (32, 128) for batch in batches["full"])
    assert all(batch["attention_mask"].all() for batch in batches["full"])
    for batch in batches["mixed"]:
        lengths = batch["attention_mask"].sum(1)
        assert lengths.max() == batch["input_ids"].shape[1] <= 256
        assert lengths.min() < lengths.max()


@pytest.mark.slow
def test_a_row_for_each_side_batch_and_precision(monkeypatch):
    monkeypatch.setattr(encoder, "BATCHES", 1)
    table = encoder_rows("sample-zh", repeats=1, precisions=["bfloat16"])
    assert [row["side"] for row in table] == list(SIDES) * 2
    for theirs, ours in zip(table[::2], table[1::2], strict=True):
        assert theirs["ratio"] == 1 and ours["ratio"] > 0
        assert ours["tokens/s"] == pytest.approx(theirs["tokens/s"] * ours["ratio"])
        assert (ours["padding"] == 0) == (ours["batches"] == "full")
        assert min(ours["peak MiB"], theirs["peak MiB"]) > 10
    json.dumps(table)
