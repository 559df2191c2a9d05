"""The threshold against a search by brute force with scikit-learn, and its place in the head."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from companion.classification.threshold import best_margin, move_threshold
from companion.errors import SettingsError
from tests.training.worker import make_batches, make_model


def score(margins: np.ndarray, true: np.ndarray, margin: float) -> float:
    return f1_score(true, margins > margin, labels=[0, 1], average="macro", zero_division=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25), st.sampled_from([0, 1, 3]))
def test_no_threshold_between_two_texts_is_better(seed, count, decimals):
    rng = np.random.default_rng(seed)
    true = rng.permutation(np.arange(count) % 4 == 0).astype(int)
    logits = np.round(rng.normal(size=(count, 2)) + np.eye(2)[true] - [0, 1], decimals)
    margins = np.float32(logits)[:, 1].astype(float) - np.float32(logits)[:, 0]
    found = best_margin(torch.tensor(logits, dtype=torch.float32), true.tolist())
    distinct = np.unique(margins)
    tried = [0.0, *(distinct[1:] + distinct[:-1]) / 2]
    best = max(score(margins, true, margin) for margin in tried)
    assert score(margins, true, found) == pytest.approx(best)
    nearer = [m for m in tried if abs(m) < abs(found) - 1e-9]
    assert all(score(margins, true, margin) < best - 1e-9 for margin in nearer)


def test_a_rare_class_is_called_more_often():
    margins = torch.tensor([-4.0, -3.5, -3.0, -2.5, -1.0, -0.5])
    logits = torch.stack([torch.zeros(6), margins], dim=-1)
    assert best_margin(logits, [0, 0, 0, 0, 1, 1]) == pytest.approx(-1.75)
    assert best_margin(logits, [0] * 6) == 0.0, "one class alone says nothing"


def test_the_head_calls_the_second_class_exactly_beyond_the_margin():
    model = make_model().eval()
    batch = next(make_batches(batch_size=120).epoch(0))
    with torch.no_grad():
        before = model(**batch).logits
        margins = before[:, 1] - before[:, 0]
        margin = float(margins.median()) + 1e-4
        move_threshold(model, margin)
        after = model(**batch).logits
    assert torch.equal(after.argmax(-1) == 1, margins > margin)
    assert 0 < int((margins > margin).sum()) < 120
    assert torch.equal(after[:, 0], before[:, 0])


def test_a_head_of_another_shape_is_refused():
    for head in (torch.nn.Linear(4, 3), torch.nn.Linear(4, 2, bias=False), torch.nn.Tanh()):
        with pytest.raises(SettingsError, match=r"linear layer with a bias for two classes"):
            move_threshold(torch.nn.Sequential(head), 0.1)
