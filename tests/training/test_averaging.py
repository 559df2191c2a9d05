"""The moving average of the weights, against a loop in NumPy, and what it must not touch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_post_hook

from companion.training import TrainSettings, train
from companion.training.averaging import AveragedWeights, decay_of_span
from tests.training.worker import loss_on, make_batches, make_model

FP32 = {"precision": "fp32", "batch_size": 8, "learning_rate": 1e-3, "max_steps": 12}


@settings(max_examples=30)
@given(st.integers(1, 60), st.floats(0.0, 0.999), st.integers(0, 1000))
def test_it_equals_a_loop_in_numpy(updates, decay, seed):
    walk = np.random.default_rng(seed).normal(size=(updates + 1, 3))
    model = torch.nn.Linear(3, 1, bias=False).double()
    average = AveragedWeights(model, decay)
    expected = np.full(3, 1e9)  # what was there before the first update has no part in it
    for step, weights in enumerate(walk[1:], start=1):
        model.weight.data.copy_(torch.from_numpy(weights))
        average.update(step)
        kept = min(decay, 1 - 1 / step)
        expected = kept * expected + (1 - kept) * weights
    np.testing.assert_allclose(average.averages["weight"][0], expected, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(2, 60), st.floats(1, 300))
def test_the_chosen_decay_is_a_plain_mean_at_first_and_as_old_as_one_later(updates, span):
    decay = decay_of_span(span)
    assert 0 <= decay < 1
    ages = np.arange(20_000)
    old = (1 - decay) * decay**ages @ ages
    assert old == pytest.approx((span - 1) / 2, abs=1e-6)
    model = torch.nn.Linear(1, 1, bias=False).double()
    average = AveragedWeights(model, 1 - 1e-9)
    for step in range(1, updates + 1):
        model.weight.data.fill_(step)
        average.update(step)
    assert average.averages["weight"].item() == pytest.approx((updates + 1) / 2)


def run(evaluate=None, **options):
    """A short run: its final weights, the weights after each update, its history."""
    model, seen = make_model(), []
    handle = register_optimizer_step_post_hook(
        lambda *_: seen.append({n: p.detach().clone() for n, p in model.named_parameters()})
    )
    try:
        run_settings = TrainSettings(**{**FP32, **options})
        history = train(model, make_batches(), run_settings, evaluate=evaluate, progress=False)
    finally:
        handle.remove()
    return dict(model.named_parameters()), seen, history


@pytest.mark.parametrize(("option", "decay"), [(0.7, 0.7), ("auto", 1 - 2 / (1.2 + 1))])
def test_the_engine_leaves_the_average_of_its_updates(option, decay):
    final, seen, _ = run(average_weights=option)
    assert len(seen) == 12
    for name, weight in final.items():
        expected = seen[0][name].numpy()
        for step, weights in enumerate(seen, start=1):
            kept = min(decay, 1 - 1 / step)
            expected = kept * expected + (1 - kept) * weights[name].numpy()
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5, atol=1e-7)


def test_training_itself_does_not_notice_and_the_evaluation_sees_the_average():
    scored = []

    def evaluate(model):
        scored.append({n: p.detach().clone() for n, p in model.named_parameters()})
        return loss_on(model)

    options = {"eval_steps": 4, "best_metric": "dev_loss"}
    plain, plain_seen, plain_history = run(loss_on, **options)
    final, seen, history = run(evaluate, average_weights=0.9, **options)
    assert history.column("loss") == plain_history.column("loss")
    for one, two in zip(seen, plain_seen, strict=True):
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert history.column("dev_loss", "eval") != plain_history.column("dev_loss", "eval")
    best = int(np.argmin(history.column("dev_loss", "eval")))
    assert all(torch.equal(final[name], scored[best][name]) for name in final)
    assert not all(torch.equal(final[name], seen[4 * best + 3][name]) for name in final)
    assert not all(torch.equal(final[name], plain[name]) for name in final)
