"""Checkers of the book's exercises, one module a chapter (`chapter_10.py` for chapter 10).

A reader writes an answer in a cell and asks for a verdict, one sentence:

    from companion.exercises import check

    check("10.1", my_function)

A checker is a function that takes the answer, tries it on inputs drawn from a fixed seed, and
returns the sentence of a right answer; `expect` and its like end it with the sentence of a wrong
one. Beside it stand typical wrong answers, which the tests put before it:

    def adds_twice(a, b): ...

    @exercise("1.2", wrong=[adds_twice])
    def addition(answer):
        expect_equal(answer(2, 3), 5, "the sum of 2 and 3")
        return "2 and 3 make 5"
"""

from companion.exercises.checking import Exercise, Verdict, check, exercise, exercises
from companion.exercises.expecting import expect, expect_close, expect_equal

__all__ = [
    "Exercise",
    "Verdict",
    "check",
    "exercise",
    "exercises",
    "expect",
    "expect_close",
    "expect_equal",
]
