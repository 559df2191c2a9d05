"""The paired tests: by hand, against scipy, and by simulation of what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from companion.classification.comparison.paired import (
    differences,
    discordant,
    holm,
    mcnemar,
    paired_interval,
)


def answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two models' right and wrong answers with so many texts of each kind."""
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    return a, b


def test_mcnemar_by_hand():
    # 8 texts differ, 7 to 1: 2 · (1 + 8) / 2^8.
    assert mcnemar(*answers(20, 7, 1, 3)) == pytest.approx(18 / 256)
    # What both got right or wrong does not count.
    assert mcnemar(*answers(2000, 7, 1, 300)) == pytest.approx(18 / 256)
    assert mcnemar(*answers(5, 0, 0, 5)) == 1
    assert mcnemar(*answers(5, 3, 3, 5)) == 1


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 9))
def test_mcnemar_is_the_binomial_test_of_the_texts_that_differ(first, second, rest):
    found = mcnemar(*answers(rest, first, second, rest))
    wanted = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert found == pytest.approx(wanted)
    assert found == pytest.approx(mcnemar(*answers(rest, second, first, rest)))


def test_holm_by_hand():
    # Times 4, 3, 2, 1 in order of size, and never less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9, 0.5]) == pytest.approx([1, 1, 1])
    assert holm([0.02]) == [0.02] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_definition_rejects(p_values):
    """Step down: reject the smallest while it is below level / (number left)."""
    level, left = 0.05, sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for place, i in enumerate(left):
        if not p_values[i] * (len(p_values) - place) < level:
            break
        rejected.add(i)
    corrected = holm(p_values)
    assert {i for i, p in enumerate(corrected) if p < level} == rejected
    assert all(new >= old for new, old in zip(corrected, p_values, strict=True))


def test_the_test_cries_wolf_no_more_often_than_it_says():
    """Two models equally often right, 400 texts, 20% of which differ: at most 5% false alarms."""
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(1500):
        differ = rng.random(400) < 0.2
        first = rng.random(400) < 0.5
        alarms.append(mcnemar(differ & first, differ & ~first) < 0.05)
    # An exact test keeps below its level: about 4% here.
    assert 0.015 < np.mean(alarms) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_holm_keeps_a_whole_table_below_the_level():
    """Six models, none better: one false "real" among them in at most 5% of the tables."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        right = rng.random((6, 300)) < 0.8
        alarms += min(holm([mcnemar(right[0], other) for other in right[1:]])) < 0.05
    assert alarms / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(2)
    held = []
    for i in range(600):
        kind = rng.choice(3, size=500, p=[0.12, 0.06, 0.82])  # the truth is 6 points
        low, high = paired_interval(kind == 0, kind == 1, samples=1000, seed=i)
        held.append(low <= 0.06 <= high)
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / 600) < np.mean(held) < 0.985


def test_pairing_sees_what_two_intervals_cannot():
    """Ten texts of a thousand, all to one side: each model's own interval is four points wide."""
    a, b = answers(850, 10, 0, 140)
    found = differences({"a": a, "b": b}, "a")["b"]
    assert found.is_real() and found.interval[0] > 0 and found.points == pytest.approx(0.01)
    assert (found.only_best, found.only_this) == (10, 0)
    assert discordant(b, a) == (0, 10)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="cannot be compared in pairs"):
        mcnemar([True], [True, False])
    with pytest.raises(ValueError, match="cannot be compared in pairs"):
        paired_interval([], [])
