"""Positions beyond those that were trained: they go on as the trained ones lead."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from companion.model import BertConfig, BertForMaskedLM
from companion.pretraining.head_start import waves
from companion.pretraining.positions import continue_positions, trained_positions
from companion.pretraining.starting import starting_model
from tests.pretraining import worker

TRAINED = 128


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BertForMaskedLM(BertConfig.tiny(vocab_size=50, max_position_embeddings=256))


def drifted_waves(model: BertForMaskedLM) -> torch.Tensor:
    """(P, D): what training may have made of the waves, a turned copy for each head."""
    width, heads = model.config.head_size, model.config.num_attention_heads
    turned = [
        waves(256, width) @ torch.linalg.qr(torch.randn(width, width)).Q for _ in range(heads)
    ]
    return torch.cat(turned, 1)


def test_new_positions_lie_where_the_trained_ones_lead(model):
    table = model.bert.embeddings.position_embeddings.weight.detach()
    truth = drifted_waves(model)
    table[:TRAINED] = truth[:TRAINED]
    before = cosine_similarity(table, truth)[TRAINED:].mean()
    continue_positions(model, TRAINED)
    assert torch.equal(table[:TRAINED], truth[:TRAINED]), "what was trained stays"
    assert cosine_similarity(table, truth)[TRAINED:].mean() > 0.7 > 0.2 > before
    sizes = table.norm(dim=1)
    assert sizes[TRAINED:].mean() == pytest.approx(float(sizes[8:TRAINED].mean()), rel=1e-4)


@pytest.mark.parametrize("trained", [0, 3, 256, 512])
def test_nothing_is_changed_where_nothing_follows_or_too_little_is_known(model, trained):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    continue_positions(model, trained)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("text", "positions"),
    [('{"model_max_length": 128}', 128), ("{}", None), ("[1]", None), ("{", None), (None, None)],
)
def test_the_tokenizer_says_how_many_were_trained(tmp_path, text, positions):
    if text is not None:
        (tmp_path / "tokenizer_config.json").write_text(text)
    assert trained_positions(tmp_path) == positions


@pytest.mark.parametrize("said", [16, 32])
def test_a_run_whose_rows_are_longer_than_the_model_s_starts_so(tmp_path, said):
    corpus = worker.small_corpus(tmp_path)
    model = BertForMaskedLM(worker.tiny_config(31))
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    worker.letters_tokenizer().save(folder, max_length=said)
    started, _ = starting_model(folder, corpus, 0.0, 1)
    name = "bert.embeddings.position_embeddings.weight"
    same = (started.state_dict()[name] == model.state_dict()[name]).all(dim=1)
    assert same[:said].all() and bool(same[said:].all()) == (said == corpus.row_length)
