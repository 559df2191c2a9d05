"""Verdicts: one sentence a reader can act on, whatever the answer does."""

import functools
import random
import re

import numpy as np
import pytest
import torch

from companion.errors import SettingsError
from companion.exercises import (
    Verdict,
    check,
    checking,
    exercise,
    exercises,
    expect,
    expect_close,
    expect_equal,
)
from companion.exercises.expecting import NotYet


def adds_twice(a, b):
    return a + 2 * b


@pytest.fixture
def addition(monkeypatch):
    """Exercise 0.1, known for one test."""
    monkeypatch.setattr(checking, "_REGISTRY", dict(checking._REGISTRY))

    @exercise("0.1", wrong=[adds_twice])
    def checks_addition(answer):
        a, b = torch.randint(1, 9, (2,)).tolist()
        expect_equal(answer(a, b), a + b, f"the sum of {a} and {b}")
        return "the sum is right"


def test_a_right_answer_is_praised_in_one_line(addition, capsys):
    verdict = check("0.1", lambda a, b: a + b)
    assert verdict == Verdict(True, "✓ 0.1 right: the sum is right")
    assert capsys.readouterr().out == verdict.message + "\n"
    assert verdict


def test_a_wrong_answer_is_told_what_is_wrong(addition):
    verdict = check("0.1", adds_twice)
    assert not verdict
    assert re.fullmatch(
        r"✗ 0\.1 not yet: the sum of \d and \d should be \d+ but is \d+", verdict.message
    )


def empty(a, b): ...


def documented(a, b):
    """Sum of a and b."""


def passes(a, b):
    pass


def returns_dots(a, b):
    return ...


@pytest.mark.parametrize("answer", [None, ..., empty, documented, passes, returns_dots])
def test_an_empty_answer_is_not_started_rather_than_wrong(addition, answer):
    verdict = check("0.1", answer)
    assert not verdict.ok
    assert verdict.message.startswith("· 0.1 not started: write your answer")


@pytest.mark.parametrize("answer", [lambda a, b: 0, lambda a, b: print(end=""), 5, "text"])
def test_an_answer_that_does_something_counts_as_started(addition, answer):
    assert check("0.1", answer).message.startswith("✗ 0.1 not yet: ")


def divides(a, b):
    zero = a - a
    return b / zero


def helper(x):
    return x.missing


def uses_helper(a, b):
    return helper(a)


def uses_library(a, b):
    return torch.ones(2, 3) @ torch.ones(2, 3)


def leaves(a, b):
    raise SystemExit("bye")


def endless(a, b):
    return endless(a, b)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (divides, r"your code raised ZeroDivisionError \(division by zero\) at line \d+: return b"),
        (uses_helper, r"raised AttributeError \(.*'missing'\) at line \d+: return x\.missing"),
        (uses_library, r"raised RuntimeError \(mat1 .*\) at line \d+: return torch\.ones"),
        (functools.partial(divides), r"raised ZeroDivisionError"),
        (leaves, r"raised SystemExit \(bye\) at line \d+: raise SystemExit"),
        (endless, r"raised RecursionError"),
        (lambda a: a, r"trying your answer raised TypeError \(.*takes 1 positional argument"),
        (7, r"trying your answer raised TypeError \('int' object is not callable\)"),
    ],
)
def test_an_exception_becomes_a_sentence_with_the_reader_s_line(addition, answer, sentence, capsys):
    verdict = check("0.1", answer)
    assert re.search(f"✗ 0.1 not yet: .*{sentence}", verdict.message)
    assert capsys.readouterr().out.count("\n") == 1
    assert "companion" not in verdict.message


def test_the_reader_can_still_interrupt(addition):
    def interrupts(a, b):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("0.1", interrupts)


def test_every_check_draws_the_same_inputs_and_leaves_the_random_numbers_alone(addition):
    def draw():
        return torch.rand(1).item(), random.random(), np.random.rand()

    seen = []

    def records(a, b):
        seen.append((a, b, random.random(), np.random.rand()))
        return a + b

    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    want = [draw(), draw()]
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    got = [draw()]
    check("0.1", records)
    check("0.1", records)
    got.append(draw())
    assert seen[0] == seen[1]
    assert got == want


def test_an_unknown_exercise_lists_those_there_are(addition):
    with pytest.raises(SettingsError, match=r"no exercise '0\.9'; there are: 0\.1"):
        check("0.9", adds_twice)


def test_a_name_belongs_to_one_checker_which_has_a_wrong_answer(addition):
    def another(answer):
        return "fine"

    with pytest.raises(SettingsError, match=r"two checkers for exercise 0\.1"):
        exercise("0.1", wrong=[1])(another)
    with pytest.raises(SettingsError, match="needs at least one typical wrong answer"):
        exercise("0.2", wrong=[])


@pytest.mark.parametrize(
    ("got", "want", "sentence"),
    [
        (None, 1.0, "x is None; does your function return it?"),
        ("a", 1.0, "x should hold numbers but is 'a'"),
        ([1.0], torch.ones(1), "x should be a torch.Tensor but is of type list"),
        (torch.ones(2), torch.ones(2, 1), r"the shape \(2, 1\) but has \(2,\)"),
        (torch.ones(2).int(), torch.ones(2), "the dtype torch.float32 but has torch.int32"),
        (torch.tensor([1.0, 2, 4]), torch.tensor([1.0, 2, 3]), r"be 3 at \[2\] but is 4 \(1 of 3"),
        (0.5, 0.25, "x should be 0.25 but is 0.5"),
        ([0.0, float("nan")], [0.0, 0.1], r"be 0.1 at \[1\] but is not a number \(1 of 2"),
    ],
)
def test_numbers_that_differ_are_told_apart_by_kind_shape_dtype_and_place(got, want, sentence):
    with pytest.raises(NotYet, match=sentence):
        expect_close(got, want, "x")


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (torch.ones(2, dtype=torch.float64) + 1e-9, torch.ones(2)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        (np.float32(0.1), 0.1),
        ([1, 2], np.array([1.0, 2.0])),
        (3, 3.0),
        (torch.tensor(0.25), 0.25),
    ],
)
def test_the_same_numbers_in_another_dress_are_close(got, want):
    expect_close(got, want, "x")


@pytest.mark.parametrize(
    ("got", "want", "sentence"),
    [
        (["a", "c"], ["a", "b"], "x: item 1 should be 'b' but is 'c'"),
        (["a"], ["a", "b"], "x should have 2 items but has 1"),
        ("ab", ["a", "b"], "x should be a list but is 'ab'"),
        (5, 6, "x should be 6 but is 5"),
        (torch.ones(2), 1, "x should be 1 but is tensor"),
    ],
)
def test_values_that_differ_are_shown(got, want, sentence):
    with pytest.raises(NotYet, match=sentence):
        expect_equal(got, want, "x")


def test_equal_values_pass():
    expect_equal(("a", "b"), ["a", "b"], "x")
    expect_equal(np.float64(5), 5, "x")
    expect(torch.tensor(True), "never said")


def test_every_typical_wrong_answer_of_the_book_is_turned_down_with_a_reason():
    for name, task in exercises().items():
        for answer in task.wrong:
            verdict = check(name, answer)
            assert not verdict.ok, f"{name} takes the wrong answer {answer!r}"
            assert verdict.message.startswith(f"✗ {name} not yet: "), verdict.message
        assert check(name, ...).message.startswith(f"· {name} not started")
