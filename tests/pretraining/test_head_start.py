"""Skip-gram vectors as a start: what they learn, how they get into a model, what a resume finds."""

import sys

import numpy as np
import pytest
import torch

from companion.errors import CheckpointError, SettingsError
from companion.model import BertConfig, BertForMaskedLM
from companion.pretraining import MaskedBatches, pretrain, skip_gram
from companion.pretraining.skip_gram import (
    skip_gram_vectors,
    start_embeddings,
    start_from_skip_gram,
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skip_gram, "SAMPLE", 0)  # in so small a vocabulary all tokens are frequent
        return skip_gram_vectors(TwoTopics(4000), ORDINARY, 16, workers=1)


def test_tokens_of_one_topic_lie_together_and_no_neighbour_is_taken_from_the_next_text(vectors):
    met = vectors[SPECIAL : SPECIAL + 2 * GROUP]
    unit = met / np.linalg.norm(met, axis=1, keepdims=True)
    cosines = unit @ unit.T
    topic = np.arange(2 * GROUP) // GROUP
    same = topic[:, None] == topic[None, :]
    np.fill_diagonal(same, False)
    across = topic[:, None] != topic[None, :]
    assert cosines[same].min() > cosines[across].max()


def test_they_are_centred_and_of_unit_size_and_only_what_was_met_has_one(vectors):
    met = vectors[SPECIAL : SPECIAL + 2 * GROUP]
    assert np.allclose(met.mean(0), 0, atol=1e-4) and met.std() == pytest.approx(1, rel=1e-5)
    assert np.isnan(vectors[:SPECIAL]).all() and np.isnan(vectors[SPECIAL + 2 * GROUP :]).all()


def test_one_worker_finds_the_same_vectors_again():
    first, again = (skip_gram_vectors(TwoTopics(), ORDINARY, 16, workers=1) for _ in range(2))
    assert np.array_equal(again, first, equal_nan=True)


def test_about_as_many_tokens_are_read_as_were_asked_for(tmp_path):
    path = tmp_path / "ids.txt"
    skip_gram._write_ids(TwoTopics(2000), path, ORDINARY, tokens=10_000, seed=0)
    read = len(path.read_text("ascii").split())
    assert 10_000 <= read < 10_000 + skip_gram.ROWS_AT_ONCE * 28


def test_the_embeddings_take_them_at_the_size_of_the_random_start(vectors):
    config = BertConfig(VOCABULARY, 16, 1, 2, 32)
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    start_embeddings(model, vectors)
    after = model.bert.embeddings.word_embeddings.weight.detach()
    met = slice(SPECIAL, SPECIAL + 2 * GROUP)
    assert torch.equal(after[:SPECIAL], before[:SPECIAL])
    assert torch.equal(after[met.stop :], before[met.stop :])
    assert after[met].std().item() == pytest.approx(config.initializer_range, rel=0.01)
    assert torch.allclose(after[met], config.initializer_range * torch.from_numpy(vectors[met]))


def test_a_resumed_run_starts_from_the_vectors_of_its_first_start(tmp_path, monkeypatch):
    corpus = worker.small_corpus(tmp_path, documents=60)
    batches = MaskedBatches(corpus.split("train"), corpus.tokenizer, batch_size=4)
    models = [BertForMaskedLM(worker.tiny_config(corpus.vocab_size)) for _ in range(2)]
    path = tmp_path / "vectors.npy"
    start_from_skip_gram(models[0], batches, path)
    monkeypatch.setattr(skip_gram, "skip_gram_vectors", None)  # it must not be called again
    start_from_skip_gram(models[1], batches, path)
    first, second = (m.bert.embeddings.word_embeddings.weight for m in models)
    assert torch.equal(first[5:], second[5:])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"vectors\.npy is damaged"):
        start_from_skip_gram(models[1], batches, path)


def test_a_run_from_skip_gram_ends_as_a_model_folder_and_leaves_no_vectors(tmp_path):
    corpus = worker.small_corpus(tmp_path, documents=60)
    out = tmp_path / "out"
    result = pretrain(
        corpus,
        out=out,
        model=worker.tiny_config(corpus.vocab_size),
        embeddings="skip-gram",
        steps=2,
        batch_size=4,
        precision="fp32",
        progress=False,
    )
    assert result.metrics["settings"]["embeddings"] == "skip-gram"
    assert (out / "model.safetensors").is_file() and not (out / "skip_gram.npy").exists()


def test_what_cannot_start_so_is_refused_in_a_sentence(tmp_path, monkeypatch):
    corpus = worker.small_corpus(tmp_path, documents=60)
    config = worker.tiny_config(corpus.vocab_size)
    with pytest.raises(SettingsError, match='embeddings is "glove"; use random or skip-gram'):
        pretrain(corpus, out=tmp_path / "a", model=config, embeddings="glove", steps=1)
    with pytest.raises(SettingsError, match="would replace those of the given model"):
        model = BertForMaskedLM(config)
        pretrain(corpus, out=tmp_path / "b", model=model, embeddings="skip-gram", steps=1)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(SettingsError, match=r"gensim: pip install 'companion\[pretrain\]'"):
        pretrain(corpus, out=tmp_path / "c", model=config, embeddings="skip-gram", steps=1)
