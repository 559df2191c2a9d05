"""Chapter 12's checkers: right in other words passes, and wrong is told for its own reason."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import top_k_accuracy_score

from companion.exercises import chapter_12, check


def top_k_of_scikit_learn(probabilities, true, k):
    classes = probabilities.shape[1]
    if k == classes:  # scikit-learn warns that this is no score
        return 1.0
    return top_k_accuracy_score(true, probabilities, k=k, labels=range(classes))


def mcnemar_of_scipy(only_a, only_b):
    total = only_a + only_b
    return binomtest(only_a, total).pvalue if total else 1.0


def calibration_error_with_closed_right_ends(confidence, is_right, bins):
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        members = (confidence > low) & (confidence <= high)
        if members.any():
            total += members.mean() * abs(is_right[members].mean() - confidence[members].mean())
    return np.float64(total)


def threshold_by_sorting(confidence, is_right, most):
    order = np.argsort(-confidence)
    q, wrong = confidence[order], ~is_right[order]
    risk = wrong.cumsum() / np.arange(1, len(q) + 1)
    last_of_ties = np.append(q[1:] < q[:-1], True)
    allowed = np.flatnonzero((risk <= most) & last_of_ties)
    return q[allowed[-1]] if len(allowed) else np.inf


def suspects_row_by_row(probabilities, given):
    classes = probabilities.shape[1]
    limits = [np.mean([p[c] for p in probabilities[given == c]]) for c in range(classes)]
    found = []
    for row, p in enumerate(probabilities):
        confident = [c for c in range(classes) if p[c] >= limits[c]]
        if confident and max(confident, key=lambda c: p[c]) != given[row]:
            found.append(row)
    return sorted(found, key=lambda row: probabilities[row][given[row]])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("12.1", top_k_of_scikit_learn),
        ("12.2", mcnemar_of_scipy),
        ("12.3", calibration_error_with_closed_right_ends),
        ("12.4", threshold_by_sorting),
        ("12.5", suspects_row_by_row),
    ],
)
def test_a_right_answer_in_other_words_passes(name, answer):
    verdict = check(name, answer)
    assert verdict.ok, verdict.message


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("12.1", chapter_12.counts_only_the_last_place, "top-2 accuracy"),
        ("12.1", chapter_12.takes_the_least_probable, "top-1 accuracy"),
        ("12.1", chapter_12.divides_by_k, "top-2 accuracy"),
        ("12.2", chapter_12.looks_at_one_side, "5 texts that only A got right"),
        ("12.2", chapter_12.doubles_past_one, "should be 1 but"),
        ("12.2", chapter_12.counts_the_single_case, "5 texts that only A got right"),
        ("12.3", chapter_12.loses_the_certain, "at a confidence of 1"),
        ("12.3", chapter_12.lets_signs_cancel, "one bin too sure and one not sure enough"),
        ("12.3", chapter_12.counts_all_bins_alike, "500 random answers"),
        ("12.4", chapter_12.trusts_the_number, "answered with at most 2% errors"),
        ("12.4", chapter_12.stops_at_the_first_excess, "no text reaches your inf"),
        ("12.5", chapter_12.disagreements, "six small rows"),
        ("12.5", chapter_12.forgets_to_sort, "item 0 should be"),
    ],
)
def test_a_wrong_answer_is_told_its_own_mistake(name, answer, reason):
    verdict = check(name, answer)
    assert not verdict.ok
    assert re.search(reason, verdict.message), verdict.message


def test_a_threshold_that_gives_up_too_much_is_told_the_share_it_could_answer():
    def careful(confidence, is_right, most):
        limits = np.unique(confidence)
        allowed = [one for one in limits if np.mean(~is_right[confidence >= one]) <= most]
        return allowed[1] if len(allowed) > 1 else math.inf

    verdict = check("12.4", careful)
    assert not verdict.ok
    assert "the share that is answered" in verdict.message, verdict.message
