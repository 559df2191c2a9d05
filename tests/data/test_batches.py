"""Length batches: every row once, the same order for the same seed, little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.batches import LengthBatches

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=120)


def make(sizes: list[int], **options: object) -> LengthBatches:
    rows = [list(range(1, n + 1)) for n in sizes]
    return LengthBatches(rows, labels=list(range(len(rows))), pad_token_id=0, **options)


@given(lengths, st.integers(1, 9), st.integers(0, 3), st.booleans())
def test_an_epoch_holds_every_row_exactly_once(sizes, batch_size, epoch, shuffle):
    batches = make(sizes, batch_size=batch_size, shuffle=shuffle, pool_batches=2)
    plan = batches.plan(epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(sizes)))
    assert len(plan) == len(batches)
    assert max(map(len, plan)) <= batch_size


@given(lengths, st.integers(0, 5))
def test_the_plan_is_a_function_of_seed_and_epoch(sizes, epoch):
    one, two = (make(sizes, batch_size=4, seed=7).plan(epoch) for _ in range(2))
    assert [a.tolist() for a in one] == [b.tolist() for b in two]


def test_epochs_and_seeds_differ():
    sizes = [5] * 64
    orders = {
        tuple(np.concatenate(make(sizes, batch_size=8, seed=s).plan(e)).tolist())
        for s in range(3)
        for e in range(3)
    }
    assert len(orders) == 9


@given(lengths)
def test_padding_is_masked_and_real_tokens_are_untouched(sizes):
    batches = make(sizes, batch_size=5)
    for rows, batch in zip(batches.plan(0), batches.epoch(0), strict=True):
        assert batch["attention_mask"].sum(1).tolist() == [sizes[r] for r in rows]
        assert batch["input_ids"].shape[1] == max(sizes[r] for r in rows)  # up to 64 tokens
        assert (batch["input_ids"] * (1 - batch["attention_mask"])).sum() == 0
        for row, ids in zip(rows, batch["input_ids"], strict=True):
            assert ids[: sizes[row]].tolist() == list(range(1, sizes[row] + 1))
        assert batch["labels"].tolist() == rows.tolist()


def test_little_padding_is_left_in_pieces_of_similar_length_or_in_sorted_pools():
    sizes = np.random.default_rng(0).integers(5, 250, size=3200).tolist()
    random_batches = make(sizes, batch_size=32)
    sorted_pools = make(sizes, batch_size=32, pool_batches=50)
    assert random_batches.padding_share() > 0.4
    assert random_batches.padding_share(pieces=8) < 0.15
    assert sorted_pools.padding_share() < 0.04


@given(lengths, st.integers(1, 6))
def test_rows_of_a_batch_are_sorted_by_length(sizes, batch_size):
    for rows in make(sizes, batch_size=batch_size).plan(1):
        assert [sizes[r] for r in rows] == sorted(sizes[r] for r in rows)


@pytest.mark.parametrize(("longest", "width"), [(3, 3), (64, 64), (65, 72), (250, 250)])
def test_wide_batches_grow_in_steps_but_not_beyond_the_longest_text(longest, width):
    batches = make([longest, 250], batch_size=1)
    assert batches.width([0]) == width == batches.collate([0])["input_ids"].shape[1]


def test_batch_size_and_label_count_are_checked():
    with pytest.raises(ValueError, match="at least 1"):
        make([3], batch_size=0)
    with pytest.raises(ValueError, match="1 texts but 2 labels"):
        LengthBatches([[1]], [0, 1], batch_size=1, pad_token_id=0)
