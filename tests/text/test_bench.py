"""The speed table of the tokenizer."""

from companion.bench.tokenizer import SIDES, tokenizer_rows


def test_all_sides_give_the_same_ids_and_ours_is_several_times_the_slow_one():
    rows = tokenizer_rows(["sample-zh", "sample-en"], rows=200, repeats=1)
    assert [(row["data"], row["side"]) for row in rows] == [
        (data, side) for data in ("sample-zh", "sample-en") for side in SIDES
    ]
    assert all(row["same ids"] == 1 for row in rows)
    speed = {(row["data"], row["side"]): row["again"] for row in rows}
    for data in ("sample-zh", "sample-en"):
        # The table itself shows more; neighbours on a machine may halve what a test sees.
        assert speed[data, "companion"] > 4 * speed[data, "transformers, slow"]
