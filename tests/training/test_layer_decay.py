"""A rate for each layer, against rates by hand and against plain PyTorch."""

import pytest
import torch
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from companion import BertConfig, BertForSequenceClassification
from companion.errors import SettingsError
from companion.training import TrainSettings, train
from companion.training.layers import layer_depths
from companion.training.optimizer import make_optimizer, set_learning_rate
from tests.training.worker import make_batches, make_model

SIZES = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 40,
}  # fmt: skip
FP32 = {"precision": "fp32", "batch_size": 8, "learning_rate": 1e-3, "max_steps": 6}


def rates(model, layer_decay: float, rate: float) -> dict[str, float]:
    """The learning rate of each parameter of an optimiser that was told `rate`."""
    optimizer = make_optimizer(model, 1.0, 0.01, layer_decay)
    set_learning_rate(optimizer, rate)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)
    return {name: found[id(parameter)] for name, parameter in model.named_parameters()}


def trained(**options) -> tuple[dict, list]:
    model = make_model()
    history = train(model, make_batches(), TrainSettings(**FP32, **options), progress=False)
    return model.state_dict(), history.column("loss")


def by_hand(name: str) -> float:
    """Two layers, a decay of 1/2, a peak of 8e-3."""
    if "embeddings" in name:
        return 1e-3
    if ".layer.0." in name:
        return 2e-3
    return 4e-3 if ".layer.1." in name else 8e-3


@pytest.mark.parametrize(
    "model",
    [
        lambda: BertForSequenceClassification(BertConfig.tiny(vocab_size=50)),
        make_model,
        lambda: RobertaForSequenceClassification(RobertaConfig(**SIZES)),
        lambda: ElectraForSequenceClassification(ElectraConfig(**SIZES, embedding_size=16)),
    ],
    ids=["ours", "bert", "roberta", "electra"],
)
def test_each_layer_has_half_the_rate_of_the_one_above(model):
    found = rates(model(), 0.5, 8e-3)
    assert found == {name: pytest.approx(by_hand(name)) for name in found}
    assert set(found.values()) == {1e-3, 2e-3, 4e-3, 8e-3}


def test_biases_and_norms_of_every_layer_do_not_decay():
    model = make_model()
    groups = make_optimizer(model, 1.0, 0.01, 0.9).param_groups
    assert len(groups) == 2 * 4, "head, two layers, embeddings; each decaying or not"
    for group in groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] == 0.01) for p in group["params"])


def test_the_run_equals_plain_pytorch_with_a_group_a_parameter():
    batches, model = make_batches(), make_model(dropout=0.0).train()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p], "lr": by_hand(n) / 8, "weight_decay": 0.01 if p.ndim > 1 else 0.0}
            for n, p in model.named_parameters()
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: (6 - s) / 5 if s else 1.0)
    for rows in batches.plan(0)[:6]:
        model(**batches.collate(rows)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    ours = make_model(dropout=0.0)
    train(ours, batches, TrainSettings(**FP32, layer_decay=0.5), progress=False)
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight, model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_a_factor_of_one_changes_no_bit():
    (plain, losses), (one, same) = trained(), trained(layer_decay=1.0)
    assert losses == same
    assert all(torch.equal(plain[name], one[name]) for name in plain)
    other, _ = trained(layer_decay=0.9)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


def test_layers_by_another_name_are_refused_in_a_sentence():
    config = DistilBertConfig(vocab_size=50, dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    for model in (DistilBertForSequenceClassification(config), torch.nn.Linear(2, 2)):
        with pytest.raises(SettingsError, match=rf"{type(model).__name__} has 0. Leave them out"):
            make_optimizer(model, 1e-3, 0.0, layer_decay=0.9)


def test_a_deeper_model_counts_from_the_top():
    config = RobertaConfig(**{**SIZES, "num_hidden_layers": 5})
    model = RobertaForSequenceClassification(config)
    depths = {name: layer_depths(model)[p] for name, p in model.named_parameters()}
    for i in range(5):
        assert {d for n, d in depths.items() if f".layer.{i}." in n} == {5 - i}
    assert {d for n, d in depths.items() if "embeddings" in n} == {6}
