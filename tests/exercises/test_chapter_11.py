"""Chapter 11's checkers: right in other words passes, and wrong is told for its own reason."""

import random
import re

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupShuffleSplit

from companion.exercises import chapter_11, check


def share_with_a_loop(train_texts, test_texts):
    known = {tuple(text.split()) for text in train_texts}
    count = 0
    for text in test_texts:
        count += tuple(text.split()) in known
    return np.float64(count) / len(test_texts)


def padding_counted_one_by_one(lengths, batch_size):
    zeros = positions = 0
    for start in range(0, len(lengths), batch_size):
        batch = lengths[start : start + batch_size]
        width = max(batch)
        zeros += sum(width - length for length in batch)
        positions += width * len(batch)
    return zeros / positions


def macro_f1_of_scikit_learn(confusion):
    true, predicted = np.indices(confusion.shape).reshape(2, -1).repeat(confusion.ravel(), axis=1)
    return f1_score(true, predicted, average="macro")


def interval_by_the_normal_curve(right_a, right_b):
    difference = right_a.astype(float) - right_b.astype(float)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return difference.mean() - 1.96 * error, difference.mean() + 1.96 * error


def groups_of_scikit_learn(texts, labels):
    keys = [" ".join(text.split()) for text in texts]
    rows = np.arange(len(texts))
    names = np.array(["train"] * len(texts), dtype=object)
    _, held_out = next(GroupShuffleSplit(1, test_size=0.2, random_state=0).split(rows, groups=keys))
    groups = [keys[i] for i in held_out]
    dev, test = next(
        GroupShuffleSplit(1, test_size=0.5, random_state=0).split(held_out, groups=groups)
    )
    names[held_out[dev]], names[held_out[test]] = "dev", "test"
    return names.tolist()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("11.1", share_with_a_loop),
        ("11.2", padding_counted_one_by_one),
        ("11.3", macro_f1_of_scikit_learn),
        ("11.4", interval_by_the_normal_curve),
        ("11.5", groups_of_scikit_learn),
    ],
)
def test_a_right_answer_in_other_words_passes(name, answer):
    verdict = check(name, answer)
    assert verdict.ok, verdict.message


@pytest.mark.parametrize("seed", range(20))
def test_every_draw_of_whole_texts_is_a_clean_split(seed):
    def draws_texts(texts, labels):
        luck = random.Random(seed)
        homes = {}
        for text in texts:
            key = " ".join(text.split())
            homes.setdefault(key, luck.choices(["train", "dev", "test"], [8, 1, 1])[0])
        return [homes[" ".join(text.split())] for text in texts]

    verdict = check("11.5", draws_texts)
    assert verdict.ok, verdict.message


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("11.1", chapter_11.counts_distinct_texts, "one old text three times"),
        ("11.1", chapter_11.sees_blanks, "when train has '太 吵'"),
        ("11.2", chapter_11.counts_full_batches_only, r"\[3, 5, 9\] in batches of 2"),
        ("11.3", chapter_11.is_accuracy, "two equal classes"),
        ("11.3", chapter_11.leaves_out_what_was_never_predicted, "never predicted"),
        ("11.4", chapter_11.draws_apart, "the width of the interval"),
        ("11.4", chapter_11.subtracts_two_intervals, "should go from low to high"),
        ("11.4", chapter_11.turns_it_round, "the middle of the interval"),
        ("11.5", chapter_11.draws_rows, "copies in more than one split"),
        ("11.5", chapter_11.cuts_in_order, "are positive, but"),
        ("11.5", chapter_11.trains_on_everything, "train holds 100.0% of the rows"),
    ],
)
def test_a_wrong_answer_is_told_its_own_mistake(name, answer, reason):
    verdict = check(name, answer)
    assert not verdict.ok
    assert re.search(reason, verdict.message), verdict.message
