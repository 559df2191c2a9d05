"""Prediction beside the pipeline: the same answers in the same order, in less time."""

import pytest

from companion.bench.prediction import prediction_rows


@pytest.mark.slow
def test_all_sides_answer_alike(tiny_encoder):
    table = prediction_rows("sample-zh", rows=60, repeats=1, model=str(tiny_encoder))
    assert [row["side"] for row in table][0::2] == ["pipeline, defaults", "companion"]
    assert table[0]["ratio"] == 1 and table[0]["same label"] == 1
    for row in table:
        assert row["texts/s"] > 0
        # The network of this package computes in 16 bits, so a text on the edge may fall over it.
        assert row["same label"] >= 0.95
