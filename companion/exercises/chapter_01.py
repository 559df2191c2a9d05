"""Checkers of chapter 1: the majority, size of a test set, a list of words, a test of one's own."""

import math
import random
import re
from collections.abc import Callable, Collection, Sequence

from companion.exercises.checking import exercise
from companion.exercises.expecting import expect, expect_close, expect_equal

Pairs = list[tuple[str, str]]
WORDS = ["film", "plot", "we", "saw", "it", "was", "there", "and", "one", "long", "day", "room"]
CHINESE = re.compile("[\u4e00-\u9fff]")


# 1.1 ------------------------------------------------------------------------------------------


def asks_the_test_labels(train_labels: Sequence[str], test_labels: Sequence[str]) -> float:
    return max(map(test_labels.count, test_labels)) / len(test_labels)


def share_in_train(train_labels: Sequence[str], test_labels: Sequence[str]) -> float:
    return max(map(train_labels.count, train_labels)) / len(train_labels)


def says_the_label(train_labels: Sequence[str], test_labels: Sequence[str]) -> str:
    return max(set(train_labels), key=train_labels.count)


@exercise("1.1", wrong=[asks_the_test_labels, share_in_train, says_the_label])
def majority_accuracy(answer: Callable[[Sequence[str], Sequence[str]], float]) -> str:
    tries = [
        (["good", "good", "bad"], ["good", "bad", "bad", "bad"], "good"),
        (["bad", "bad", "bad", "good"], ["bad", "good"], "bad"),
        (["sport"] * 5 + ["money"] * 3, ["money", "law", "sport", "law", "law"], "sport"),
        (["bad", "bad", "good"], ["good", "good"], "bad"),
    ]
    for train, test, always in tries:
        expect_close(
            answer(list(train), list(test)),
            test.count(always) / len(test),
            f"the accuracy of always saying {always!r} (most frequent in train) on {test}",
        )
    return "train decides what is said, test decides how often that is right"


# 1.2 ------------------------------------------------------------------------------------------


def rounds_down(accuracy: float, margin: float) -> int:
    return math.floor(accuracy * (1 - accuracy) * (1.96 / margin) ** 2)


def forgets_the_square(accuracy: float, margin: float) -> int:
    return math.ceil(accuracy * (1 - accuracy) * 1.96 / margin)


def one_standard_deviation(accuracy: float, margin: float) -> int:
    return math.ceil(accuracy * (1 - accuracy) / margin**2)


@exercise("1.2", wrong=[rounds_down, forgets_the_square, one_standard_deviation])
def texts_needed(answer: Callable[[float, float], int]) -> str:
    for accuracy, margin in ((0.9, 0.005), (0.5, 0.02), (0.75, 0.013), (0.99, 0.01), (0.6, 0.2)):
        n, where = answer(accuracy, margin), f"for {accuracy:.0%} and a margin of {margin:g}"
        expect(
            not isinstance(n, bool) and isinstance(n, int | float) and n == int(n) and n >= 1,
            f"{where} the answer should be a whole number of texts, but is {n!r}",
        )
        spread = 1.96 * math.sqrt(accuracy * (1 - accuracy))
        reach = spread / math.sqrt(n)
        # Where the root comes out even, rounding may add a text.
        expect(
            reach <= margin * (1 + 1e-9),
            f"{where} you say {n:,} texts, with which the reach is {reach:.4f}: that is too wide",
        )
        expect(
            n == 1 or spread / math.sqrt(n - 1) > margin * (1 - 1e-9),
            f"{where} you say {n:,} texts, but {n - 1:,} would do",
        )
    return "half the margin takes four times the texts"


# 1.3 ------------------------------------------------------------------------------------------


def count_plainly(text: str, good: Collection[str], bad: Collection[str]) -> int:
    return sum((word in good) - (word in bad) for word in text.split())


def turns_the_whole_text(text: str, good: Collection[str], bad: Collection[str]) -> int:
    total = count_plainly(text, good, bad)
    return -total if {"not", "never", "no"} & set(text.split()) else total


def turns_all_that_follows(text: str, good: Collection[str], bad: Collection[str]) -> int:
    total, sign = 0, 1
    for word in text.split():
        if word in ("not", "never", "no"):
            sign = -1
        total += sign * ((word in good) - (word in bad))
    return total


def turns_the_neighbour_only(text: str, good: Collection[str], bad: Collection[str]) -> int:
    words = text.split()
    return sum(
        ((word in good) - (word in bad)) * (-1 if before in ("not", "never", "no") else 1)
        for before, word in zip(["", *words], words, strict=False)
    )


def _expected(text: str, good: Collection[str], bad: Collection[str]) -> int:
    """A negation waits for the next word that counts, and goes with it."""
    total, negated = 0, False
    for word in text.split():
        value = (word in good) - (word in bad)
        total += -value if negated else value
        negated = word in ("not", "never", "no") or (negated and not value)
    return total


@exercise(
    "1.3",
    wrong=[
        count_plainly,
        turns_the_whole_text,
        turns_all_that_follows,
        turns_the_neighbour_only,
    ],
)
def count_with_not(answer: Callable[[str, Collection[str], Collection[str]], int]) -> str:
    good, bad = ["fine", "warm", "clever"], ["dull", "weak", "noisy"]
    texts = [
        "fine and warm but noisy",
        "not dull",
        "not a dull film",
        "never fine",
        "there is no weak day in it",
        "not dull and noisy",
        "a fine film and not a weak one",
        "not long",
    ]
    for _ in range(20):
        # A negation is followed by something to turn before the next one comes.
        words: list[str] = []
        for _ in range(random.randint(1, 4)):
            words += random.choice([[], [], [random.choice(["not", "never", "no"])]])
            words += [*random.sample(WORDS, random.randint(0, 3)), random.choice(good + bad)]
        texts.append(" ".join(words))
    for text in texts:
        want = _expected(text, good, bad)
        expect_equal(answer(text, list(good), list(bad)), want, f"the count of {text!r}")
    return "a negation turns the next word that counts, and is then used up"


# 1.4 ------------------------------------------------------------------------------------------


def english_only() -> Pairs:
    return [(f"sentence number {i}", ("positive", "negative")[i % 2]) for i in range(12)]


def praise_only() -> Pairs:
    return [(f"sentence {i}", "positive") for i in range(6)] + [
        ("很好" * (i + 1), "positive") for i in range(6)
    ]


def one_sentence_often() -> Pairs:
    return [("very good", "positive"), ("很差", "negative")] * 6


def two_sentences() -> Pairs:
    return [("very good", "positive"), ("很差", "negative")]


@exercise("1.4", wrong=[english_only, praise_only, one_sentence_often, two_sentences])
def my_test(answer: Callable[[], Pairs]) -> str:
    pairs = answer()
    expect(
        isinstance(pairs, list | tuple)
        and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and all(isinstance(part, str) and part.strip() for part in pair)
            for pair in pairs
        ),
        "your function should return a list of pairs, a sentence and its label",
    )
    expect(len(pairs) >= 12, f"there are {len(pairs)} pairs; write at least twelve")
    other = sorted({label for _, label in pairs} - {"positive", "negative"})
    expect(not other, f"the label {other and other[0]!r} is neither 'positive' nor 'negative'")
    seen = {" ".join(text.split()).lower() for text, _ in pairs}
    expect(
        len(seen) == len(pairs),
        f"only {len(seen)} of the {len(pairs)} sentences differ; one that is asked twice counts "
        "twice",
    )
    for language, chinese in (("English", False), ("Chinese", True)):
        labels = [label for text, label in pairs if bool(CHINESE.search(text)) == chinese]
        expect(len(labels) >= 4, f"there are {len(labels)} sentences in {language}; four at least")
        praise = labels.count("positive")
        expect(
            abs(2 * praise - len(labels)) <= 1,
            f"of {len(labels)} sentences in {language} {praise} are positive: take as many of "
            "either label, or somebody who always says one of them looks clever",
        )
    return f"{len(pairs)} different sentences in two languages, as many of either label"
