"""A head start: vectors of neighbours, waves that can be shifted, heads that look next door."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import CheckpointError, SettingsError
from companion.model import BertConfig, BertForMaskedLM
from companion.pretraining import MaskedBatches, head_start, pretrain
from companion.pretraining.head_start import (
    NEIGHBOURS,
    SCALE,
    neighbour_vectors,
    shift,
    start_ahead,
    start_run_ahead,
    waves,
)
from tests.pretraining import worker

SPECIAL, GROUP, NEVER = 5, 20, 3  # special ids, tokens in each of two groups, tokens not in a text
VOCABULARY = SPECIAL + 2 * GROUP + NEVER


class TwoTopics:
    """Rows of two pieces, one of each half of the vocabulary: no token has a neighbour across."""

    def __init__(self, count: int = 400, seed: int = 0) -> None:
        draw = np.random.default_rng(seed).integers
        first = draw(SPECIAL, SPECIAL + GROUP, (count, 14))
        second = draw(SPECIAL + GROUP, SPECIAL + 2 * GROUP, (count, 14))
        cls, sep = np.full((count, 1), 2), np.full((count, 1), 3)
        self.ids = torch.from_numpy(np.hstack([cls, first, sep, cls, second, sep]))
        self.documents = torch.ones_like(self.ids)
        self.documents[:, 16:] = 2

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, row_numbers):
        return self.ids[row_numbers], self.documents[row_numbers]


ORDINARY = np.arange(VOCABULARY) >= SPECIAL


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return neighbour_vectors(TwoTopics(4000), ORDINARY, 16)


def test_tokens_of_one_topic_lie_together_and_no_neighbour_is_taken_from_the_next_text(vectors):
    met = vectors[SPECIAL : SPECIAL + 2 * GROUP]
    unit = met / np.linalg.norm(met, axis=1, keepdims=True)
    cosines = unit @ unit.T
    topic = np.arange(2 * GROUP) // GROUP
    same = topic[:, None] == topic[None, :]
    np.fill_diagonal(same, False)
    across = topic[:, None] != topic[None, :]
    assert cosines[same].mean() > 0.1 > -0.1 > cosines[across].mean()


def test_neighbours_are_counted_as_a_loop_counts_them():
    rows = TwoTopics(50)
    counts = head_start._count_neighbours(rows, ORDINARY, 10**9, seed=0).toarray()
    by_hand = np.zeros_like(counts)
    for ids, documents in zip(rows.ids.tolist(), rows.documents.tolist(), strict=True):
        for i, one in enumerate(ids):
            for j, other in enumerate(ids):
                near = 1 <= abs(i - j) <= head_start.WINDOW and documents[i] == documents[j]
                if near and min(one, other) >= SPECIAL:
                    by_hand[one, other] += (head_start.WINDOW + 1 - abs(i - j)) / head_start.WINDOW
    assert np.array_equal(counts, by_hand)
    assert not counts[SPECIAL : SPECIAL + GROUP, SPECIAL + GROUP :].any()


def test_without_cutting_the_vectors_give_back_the_mutual_information():
    """All D = V singular values kept: their products are the root of PPMI times its transpose."""
    rows = TwoTopics(400)
    counts = head_start._count_neighbours(rows, ORDINARY, 10**9, seed=0).toarray()
    met = slice(SPECIAL, SPECIAL + 2 * GROUP)
    joint = counts[met, met] / counts.sum()
    one = counts.sum(1)[met] / counts.sum()
    smoothed = one**head_start.SMOOTHING / (one**head_start.SMOOTHING).sum()
    ppmi = np.maximum(np.log(np.maximum(joint, 1e-12) / np.outer(one, smoothed)), 0)
    left, strength, _ = np.linalg.svd(ppmi)
    exact = left * np.sqrt(strength)
    exact -= exact.mean(0)
    exact /= exact.std()
    found = neighbour_vectors(rows, ORDINARY, 2 * GROUP)[met]
    assert np.allclose(found @ found.T, exact @ exact.T, atol=2e-2)


def test_they_are_centred_and_of_unit_size_and_only_what_was_met_has_one(vectors):
    met = vectors[SPECIAL : SPECIAL + 2 * GROUP]
    assert np.allclose(met.mean(0), 0, atol=1e-4) and met.std() == pytest.approx(1, rel=1e-5)
    assert np.isnan(vectors[:SPECIAL]).all() and np.isnan(vectors[SPECIAL + 2 * GROUP :]).all()


def test_the_same_rows_give_the_same_vectors_again_and_few_tokens_are_enough_for_wide_ones():
    first, again = (neighbour_vectors(TwoTopics(), ORDINARY, 64) for _ in range(2))
    assert np.allclose(again, first, equal_nan=True, atol=1e-5)
    assert first.shape == (VOCABULARY, 64)


def test_about_as_many_tokens_are_read_as_were_asked_for(monkeypatch):
    monkeypatch.setattr(head_start, "ROWS_AT_ONCE", 100)
    rows = TwoTopics(2000)
    counts = head_start._count_neighbours(rows, ORDINARY, 10_000, seed=0)
    all_of_it = head_start._count_neighbours(rows, ORDINARY, 10**9, seed=0)
    assert 10_000 / (2000 * 28) <= counts.sum() / all_of_it.sum() < 12_800 / (2000 * 28) + 1e-3


@given(st.integers(-40, 40), st.integers(1, 40).map(lambda n: 2 * n))
def test_a_shift_of_the_waves_is_a_rotation(distance, width):
    code = waves(120, width)
    turned = code[40:80] @ shift(distance, width).T
    assert torch.allclose(turned, code[40 + distance : 80 + distance], atol=1e-4)
    assert torch.allclose(
        shift(distance, width) @ shift(-distance, width), torch.eye(width), atol=1e-5
    )


def test_each_head_begins_by_looking_at_its_neighbour():
    config = BertConfig.mini(vocab_size=60, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    torch.manual_seed(0)
    model = BertForMaskedLM(config).eval()
    start_ahead(model, np.full((60, 256), np.nan, dtype=np.float32))
    ids = torch.randint(5, 60, (4, 40))
    attention = model.bert(ids, output_attentions=True).attentions[0].mean(0)  # (N, T, T)
    for head, distance in enumerate(NEIGHBOURS):
        by_distance = {d: attention[head].diagonal(d).mean().item() for d in range(-20, 21) if d}
        assert max(by_distance, key=by_distance.__getitem__) == distance


def test_the_embeddings_take_the_vectors_and_keep_what_was_not_met(vectors):
    config = BertConfig(VOCABULARY, 16, 1, 2, 32)
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    start_ahead(model, vectors)
    after = model.bert.embeddings.word_embeddings.weight.detach()
    met = slice(SPECIAL, SPECIAL + 2 * GROUP)
    assert torch.equal(after[:SPECIAL], before[:SPECIAL])
    assert torch.equal(after[met.stop :], before[met.stop :])
    assert torch.allclose(after[met], SCALE * torch.from_numpy(vectors[met]))


def test_heads_of_odd_width_are_left_as_they_are(vectors):
    config = BertConfig(VOCABULARY, 15, 1, 3, 32)
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    before = model.bert.encoder.layer[0].attention.self.query.weight.detach().clone()
    start_ahead(model, vectors[:, :15])
    assert torch.equal(model.bert.encoder.layer[0].attention.self.query.weight, before)


def test_the_loss_falls_sooner_than_from_random_weights(tmp_path):
    corpus = worker.small_corpus(tmp_path)
    config = worker.tiny_config(corpus.vocab_size)
    found = {}
    for ahead in (True, False):
        result = pretrain(
            corpus,
            out=tmp_path / str(ahead),
            model=config,
            head_start=ahead,
            **{**worker.QUICK, "steps": 120, "eval_steps": 60, "save_steps": 60},
        )
        assert result.metrics["settings"]["head_start"] is ahead
        found[ahead] = result.metrics["dev"]["dev_loss"]
    assert found[True] < found[False] - 0.2


def test_a_resumed_run_starts_from_the_vectors_of_its_first_start(tmp_path, monkeypatch):
    corpus = worker.small_corpus(tmp_path, documents=60)
    batches = MaskedBatches(corpus.split("train"), corpus.tokenizer, batch_size=4)
    models = [BertForMaskedLM(worker.tiny_config(corpus.vocab_size)) for _ in range(2)]
    path = tmp_path / "vectors.npy"
    start_run_ahead(models[0], batches, path)
    monkeypatch.setattr(head_start, "neighbour_vectors", None)  # it must not be called again
    start_run_ahead(models[1], batches, path)
    first, second = (m.bert.embeddings.word_embeddings.weight for m in models)
    assert torch.equal(first[5:], second[5:])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"vectors\.npy is damaged"):
        start_run_ahead(models[1], batches, path)


def test_a_run_leaves_no_vectors_behind_and_a_given_model_is_not_overwritten(tmp_path):
    corpus = worker.small_corpus(tmp_path, documents=60)
    config = worker.tiny_config(corpus.vocab_size)
    quick = {**worker.QUICK, "steps": 2}
    result = pretrain(corpus, out=tmp_path / "out", model=config, **quick)
    assert result.metrics["settings"]["head_start"] is True
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "out" / "neighbours.npy").exists()
    model = BertForMaskedLM(config)
    with pytest.raises(SettingsError, match="overwrite what the given model has learned"):
        pretrain(corpus, out=tmp_path / "b", model=model, head_start=True, steps=1)
    given_ = pretrain(corpus, out=tmp_path / "c", model=model, **quick)
    assert given_.metrics["settings"]["head_start"] is False
