"""Scores against scikit-learn; the interval against its own promise."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from companion.classification.metrics import Evaluation, evaluate_predictions


@given(st.integers(2, 6), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_scores_equal_scikit_learn(classes, count, seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, (2, count))
    score = evaluate_predictions(true, predicted, [str(c) for c in range(classes)], samples=10)
    assert score.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert score.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    wanted = confusion_matrix(true, predicted, labels=range(classes))
    assert (score.confusion == wanted).all() and score.count == count


def test_the_interval_holds_the_truth_about_as_often_as_it_promises():
    """Draw tests of 400 texts from a model of known accuracy; count the intervals that miss it."""
    rng, truth, count, trials = np.random.default_rng(0), 0.83, 400, 400
    held = 0
    for trial in range(trials):
        true = rng.integers(0, 2, count)
        predicted = np.where(rng.random(count) < truth, true, 1 - true)
        low, high = evaluate_predictions(
            true, predicted, ["a", "b"], samples=400, seed=trial
        ).accuracy_interval
        held += low <= truth <= high
    # The standard error of the coverage is 1.1 points; the bootstrap is a little narrow.
    assert 0.91 <= held / trials <= 0.98


def test_the_interval_is_as_wide_as_the_formula_says():
    true = np.arange(1000) % 2
    predicted = np.where(np.arange(1000) < 900, true, 1 - true)
    low, high = evaluate_predictions(true, predicted, ["a", "b"]).accuracy_interval
    standard_error = np.sqrt(0.9 * 0.1 / 1000)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.08)


def test_a_score_survives_json():
    score = evaluate_predictions([0, 1, 1, 0], [0, 1, 0, 0], ["负", "正"], loss=0.4)
    again = Evaluation.from_dict(json.loads(json.dumps(score.to_dict())))
    assert str(again) == str(score) and (again.confusion == score.confusion).all()


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="cannot be scored"):
        evaluate_predictions([], [], ["a", "b"])
    with pytest.raises(ValueError, match="cannot be scored"):
        evaluate_predictions([0, 1], [0], ["a", "b"])
