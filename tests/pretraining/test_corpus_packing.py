"""Packing: every token in exactly one row and in order, rows nearly full, documents apart."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.model import BertConfig, BertModel
from companion.pretraining import bulk, writing
from companion.pretraining.packing import SPECIAL, cut_document, fill_rows, pack
from tests.pretraining.texts import (
    CLS,
    PAD,
    SEP,
    all_pieces,
    number_words,
    pieces_of,
    prepared,
    write_documents,
)

SIZES = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(
    sizes=SIZES,
    row_length=st.integers(8, 40),
    seed=st.integers(0, 5),
    pool=st.sampled_from([1, 50, 1 << 22]),
    batch=st.sampled_from([1, 300, 1 << 18]),
)
def test_every_token_stands_in_exactly_one_row_in_the_order_of_its_document(
    sizes, row_length, seed, pool, batch
):
    # The first document, of one known word, makes sure that there is something to train on.
    documents = number_words([[1], *sizes])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "POOL_TOKENS", pool)
        patch.setattr(bulk, "BATCH_CHARACTERS", batch)
        text = write_documents(Path(folder) / "words.txt", documents)
        corpus = prepared(text, Path(folder) / "corpus", row_length=row_length, seed=seed)
        kept = [corpus.split(name).documents[:] for name in ("train", "dev")]
        pieces = [all_pieces(corpus.split(name)) for name in ("train", "dev")]
    assert sorted([*kept[0], *kept[1]]) == documents
    for held, packed in zip(kept, pieces, strict=True):
        assert held == sorted(held), "documents keep the order in which they came"
        document_of = {i: n for n, d in enumerate(held) for paragraph in d for i in paragraph}
        assert sorted(i for piece in packed for i in piece) == sorted(document_of)
        for piece in packed:
            assert piece == list(range(piece[0], piece[-1] + 1))
            assert len({document_of[i] for i in piece}) == 1


@given(st.lists(st.integers(1, 60), max_size=20), st.integers(3, 50))
def test_a_document_is_cut_at_the_ends_of_paragraphs_where_it_can_be(sizes, capacity):
    pieces, inside = cut_document(sizes, capacity)
    assert sum(pieces) == sum(sizes)
    assert all(0 < piece <= capacity for piece in pieces)
    ends, cuts = set(np.cumsum(sizes).tolist()), np.cumsum(pieces).tolist()
    assert inside == sum(cut not in ends for cut in cuts)
    if all(size <= capacity for size in sizes):
        assert inside == 0


@settings(deadline=None)
@given(
    st.integers(8, 70).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n - SPECIAL), max_size=60))
    ),
    st.integers(0, 3),
)
def test_packed_pieces_tile_the_tokens_and_no_row_is_overfull(row_length_and_sizes, seed):
    row_length, given_sizes = row_length_and_sizes
    sizes = np.array(given_sizes, dtype=np.int64)
    placement = pack(sizes.cumsum() - sizes, sizes, row_length, np.random.default_rng(seed))
    order = placement.starts.argsort()
    starts, lengths = placement.starts[order], placement.sizes[order]
    assert (starts == lengths.cumsum() - lengths).all() and lengths.sum() == sizes.sum()
    assert set(sizes.cumsum()) <= set(lengths.cumsum()), "no piece runs over a document's end"
    assert len(starts) == len(sizes) + placement.cuts
    tokens = np.arange(100, 100 + sizes.sum(), dtype=np.uint16)
    rows = [row for part in fill_rows(tokens, placement, row_length, CLS, SEP, PAD) for row in part]
    assert len(rows) == len(placement.ends)
    found = []
    for row in rows:
        documents = (row == CLS).cumsum() * (row != PAD)
        assert documents.max() >= 1
        found += pieces_of(row, documents)
    assert sorted(i for piece in found for i in piece) == tokens.tolist()


@pytest.mark.parametrize("row_length", [64, 128, 512])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.integers(8, 26, n),  # headlines
        lambda rng, n: rng.lognormal(4, 0.9, n),  # reviews
        lambda rng, n: rng.lognormal(6, 1.2, n // 10),  # articles
        lambda rng, n: rng.normal(90, 12, n),  # paragraphs, none short enough to fill a gap
        lambda rng, n: np.full(n, 45),
        lambda rng, n: np.full(n, 3000),
    ],
    ids=["headlines", "reviews", "articles", "paragraphs", "equal", "long"],
)
def test_at_least_99_in_100_positions_are_used_with_lengths_like_those_of_real_texts(
    draw, row_length
):
    rng = np.random.default_rng(0)
    documents = np.maximum(draw(rng, 20_000).astype(int), 1)
    cut = [piece for size in documents for piece in cut_document([size], row_length - SPECIAL)[0]]
    sizes = np.array(cut)
    placement = pack(sizes.cumsum() - sizes, sizes, row_length, rng)
    used = placement.sizes.sum() + SPECIAL * len(placement.sizes)
    assert used / (len(placement.ends) * row_length) >= 0.99


def test_a_model_reads_a_packed_row_as_it_reads_each_of_its_pieces_alone(tmp_path):
    rng = np.random.default_rng(0)
    documents = number_words([rng.integers(1, 9, 3).tolist() for _ in range(40)])
    corpus = prepared(
        write_documents(tmp_path / "words.txt", documents), tmp_path / "corpus", row_length=64
    )
    input_ids, numbers = corpus.split("train").rows(range(8))
    assert numbers.max() >= 3
    places = torch.arange(64).expand_as(numbers)
    positions = places - torch.where(input_ids == CLS, places, 0).cummax(dim=1).values
    torch.manual_seed(0)
    config = BertConfig.tiny(vocab_size=corpus.vocab_size, num_hidden_layers=2, hidden_size=32,
                             num_attention_heads=2, intermediate_size=64)  # fmt: skip
    model = BertModel(config).eval()
    for fast in (True, False):
        model.fast = fast
        with torch.no_grad():
            together = model(input_ids, numbers, position_ids=positions).last_hidden_state
            mixed = model(input_ids, numbers.clip(max=1), position_ids=positions).last_hidden_state
            assert (together - mixed).abs().max() > 0.01, "one number for all would mix them"
            for row in range(8):
                for number in range(1, int(numbers[row].max()) + 1):
                    chosen = numbers[row] == number
                    alone = model(input_ids[row, chosen][None]).last_hidden_state[0]
                    torch.testing.assert_close(together[row, chosen], alone, atol=1e-5, rtol=1e-5)
