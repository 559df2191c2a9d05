"""The two tests that each chapter's exercises share: each chapter brings its own answers."""

from collections.abc import Callable
from typing import Any

import pytest

from companion.exercises import check

Answer = Callable[..., Any]


def found_right(answers: list[tuple[str, Answer]]) -> Callable[..., None]:
    """A test that right answers unlike the book's own are found right.

    Args:
        answers: name of the exercise, and a function.
    """

    @pytest.mark.parametrize(("name", "answer"), answers)
    def test(name: str, answer: Answer) -> None:
        verdict = check(name, answer)
        assert verdict.ok, verdict.message

    return test


def told_what_is_missing(answers: list[tuple[str, Answer, str]]) -> Callable[..., None]:
    """A test that unfinished answers are not right, and that the reader is told why.

    Args:
        answers: name of the exercise, a function, and words of the sentence that it must get.
    """

    @pytest.mark.parametrize(("name", "answer", "sentence"), answers)
    def test(name: str, answer: Answer, sentence: str) -> None:
        verdict = check(name, answer)
        assert not verdict.ok, "found right"
        assert sentence in verdict.message, verdict.message

    return test
