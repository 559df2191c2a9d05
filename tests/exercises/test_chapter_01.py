"""Exercises of chapter 1: right answers unlike the book's own are found right as well."""

from collections import Counter

from companion.exercises import check
from tests.exercises.answers import found_right, told_what_is_missing


def counts_with_a_counter(train_labels, test_labels):
    ((always, _),) = Counter(train_labels).most_common(1)
    return Counter(test_labels)[always] / len(test_labels)


def tries_one_after_the_other(accuracy, margin):
    n = 1
    while 1.96 * (accuracy * (1 - accuracy) / n) ** 0.5 > margin:
        n += 1
    return n


def reads_backwards(text, good, bad):
    total, value = 0, 0
    for word in reversed(text.split()):
        if word in ("not", "never", "no"):
            value = -value
        elif word in good or word in bad:
            total += value
            value = 1 if word in good else -1
    return total + value


def thirteen_sentences():
    english = [(f"it was film number {i}", ("positive", "negative")[i % 2]) for i in range(9)]
    chinese = (
        ("很好", "positive"),
        ("很差", "negative"),
        ("不错", "positive"),
        ("坏了", "negative"),
    )
    return [*english, *chinese]


test_another_right_answer_is_found_right = found_right(
    [
        ("1.1", counts_with_a_counter),
        ("1.2", tries_one_after_the_other),
        ("1.3", reads_backwards),
        ("1.4", thirteen_sentences),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("1.1", lambda train, test: 0.5, "most frequent in train"),
        ("1.2", lambda accuracy, margin: 1e6, "would do"),
        ("1.2", lambda accuracy, margin: 10.5, "a whole number of texts"),
        ("1.3", lambda text, good, bad: 0, "the count of 'fine and warm but noisy' should be 1"),
        ("1.4", lambda: ["a sentence"] * 12, "a list of pairs"),
        ("1.4", lambda: [(f"text {i}", "good") for i in range(12)], "neither 'positive' nor"),
    ]
)


def test_a_test_of_one_label_is_told_whom_it_flatters():
    def praise(language):
        return [(f"{language} {i}", "positive" if i else "negative") for i in range(6)]

    verdict = check("1.4", lambda: praise("fine") + praise("很好"))
    assert not verdict.ok and "of 6 sentences in English 5 are positive" in verdict.message
