"""Smoothed, weighted and repeated: each against PyTorch, scikit-learn or the formula by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from companion.classification.losses import WithLoss, balanced_weights, symmetric_kl
from companion.training import TrainSettings, train
from tests.training.worker import make_batches, make_model


@pytest.fixture
def batch():
    return next(make_batches().epoch(0))


def loss_of(model, batch, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return model(**batch).loss


def test_without_any_option_it_is_the_loss_of_the_model(batch):
    model = make_model(dropout=0.1).train()
    torch.testing.assert_close(loss_of(WithLoss(model).train(), batch), loss_of(model, batch))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_that_of_pytorch(batch, smoothing):
    model = make_model(dropout=0.0)
    logits = model(**batch).logits
    expected = cross_entropy(logits, batch["labels"], label_smoothing=smoothing)
    found = loss_of(WithLoss(model, label_smoothing=smoothing), batch)
    torch.testing.assert_close(found, expected)
    target = (1 - smoothing) * torch.eye(2)[batch["labels"]] + smoothing / 2
    torch.testing.assert_close(found, -(target * log_softmax(logits, -1)).sum(-1).mean())


def test_class_weights_multiply_the_loss_of_each_text(batch):
    model = make_model(dropout=0.0)
    weights = torch.tensor([0.5, 3.0])
    each = cross_entropy(model(**batch).logits, batch["labels"], reduction="none")
    expected = (weights[batch["labels"]] * each).mean()
    found = loss_of(WithLoss(model, class_weights=weights.tolist()), batch)
    torch.testing.assert_close(found, expected)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn(targets):
    classes = np.unique(targets)
    expected = compute_class_weight("balanced", classes=classes, y=targets)
    found = np.array(balanced_weights(targets, 6))
    np.testing.assert_allclose(found[classes], expected)
    assert found.sum() == pytest.approx(found[classes].sum()), "a class without a text weighs 0"
    assert found[targets].mean() == pytest.approx(1)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 6))
def test_the_distance_is_the_mean_of_both_kl(seed, count, classes):
    torch.manual_seed(seed)
    first, second = 4 * torch.randn(2, count, classes, dtype=torch.double)
    p, q = softmax(first, -1), softmax(second, -1)
    both = kl_div(q.log(), p, reduction="none") + kl_div(p.log(), q, reduction="none")
    torch.testing.assert_close(symmetric_kl(first, second), both.sum(-1) / 2)
    assert symmetric_kl(first, first).abs().max() == 0


def test_r_drop_is_the_formula_of_two_passes(batch):
    model = make_model(dropout=0.3).train()
    torch.manual_seed(5)
    twice = {name: torch.cat([x, x]) for name, x in batch.items()}
    first, second = model(**twice).logits.chunk(2)
    assert not torch.equal(first, second), "dropout differs"
    labels = batch["labels"]
    distance = kl_div(log_softmax(second, -1), softmax(first, -1), reduction="batchmean")
    distance = distance + kl_div(log_softmax(first, -1), softmax(second, -1), reduction="batchmean")
    plain = (cross_entropy(first, labels) + cross_entropy(second, labels)) / 2
    found = loss_of(WithLoss(model, r_drop=4.0).train(), batch, seed=5)
    torch.testing.assert_close(found, plain + 4.0 / 2 * distance)


def test_without_dropout_r_drop_adds_nothing(batch):
    model = make_model(dropout=0.0).train()
    found = loss_of(WithLoss(model, r_drop=5.0).train(), batch)
    assert found.item() == pytest.approx(loss_of(model, batch).item(), abs=1e-6)


def test_in_eval_mode_the_output_is_that_of_one_pass(batch):
    model = make_model(dropout=0.3).eval()
    output = WithLoss(model, r_drop=5.0).eval()(**batch)
    torch.testing.assert_close(output.logits, model(**batch).logits)
    torch.testing.assert_close(output.loss, model(**batch).loss)


def test_a_checkpoint_does_not_show_that_it_was_there():
    model = make_model()
    wrapped = WithLoss(model, class_weights=[1.0, 2.0])
    assert list(wrapped.state_dict()) == list(model.state_dict())
    for (name, one), (other, two) in zip(
        wrapped.named_parameters(), model.named_parameters(), strict=True
    ):
        assert name == other and one is two
    wrapped.load_state_dict({name: x + 1 for name, x in make_model().state_dict().items()})
    assert torch.equal(model.classifier.bias, make_model().classifier.bias + 1)


@pytest.mark.parametrize("options", [{"class_weights": [1.0, 5.0]}, {"label_smoothing": 0.2}])
def test_cutting_a_batch_into_pieces_does_not_change_the_result(options):
    weights = []
    for pieces in (1, 3):
        model = make_model(dropout=0.0)
        run = TrainSettings(
            max_steps=6, batch_size=8, precision="fp32", gradient_accumulation_steps=pieces
        )
        train(WithLoss(model, **options), make_batches(), run, progress=False)
        weights.append(model.state_dict())
    for name in weights[0]:
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=1e-3, atol=2e-5)
