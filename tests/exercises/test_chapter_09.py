"""Exercises of chapter 9: right answers unlike the book's own are found right as well."""

import hashlib

import numpy as np
import torch

from companion.exercises import check
from companion.exercises.chapter_09 import ATTENTIONS, CONTROLS, SELECTIVITIES, TOP_K
from tests.exercises.answers import found_right, told_what_is_missing


def sorted_in_python(logits, tokens, k):
    p = torch.nn.functional.softmax(logits.double(), dim=-1).tolist()
    return tuple(sorted(zip(tokens, p, strict=True), key=lambda pair: -pair[1])[:k])


def hashed_types(types, share, vocab_size, seed):
    def label(t):
        digest = hashlib.sha256(f"{seed} {t}".encode()).digest()
        return int(int.from_bytes(digest[:4], "big") / 2**32 < share)

    of_type = {int(t): label(int(t)) for t in np.unique(types)}
    return [of_type[int(t)] for t in types]


def counted_one_by_one(answers, labels, control_answers, control, test):
    rows = [i for i, kept in enumerate(test) if kept]
    real = sum(answers[i] == labels[i] for i in rows)
    memory = sum(control_answers[i] == control[i] for i in rows)
    return (real - memory) / len(rows)


def along_the_diagonal(weights, step, real):
    length = int(real.sum())  # padding stands at the end
    return weights[:, :length, :length].diagonal(step, 1, 2).mean(-1)


test_another_right_answer_is_found_right = found_right(
    [
        ("9.1", sorted_in_python),
        ("9.2", hashed_types),
        ("9.3", counted_one_by_one),
        ("9.4", along_the_diagonal),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("9.1", lambda logits, tokens, k: tokens[:k], "a list of pairs"),
        (
            "9.1",
            lambda logits, tokens, k: [(i, 0.1) for i in range(k)],
            "the token itself, not its id",
        ),
        ("9.2", lambda types, share, size, seed: np.zeros(3), "one label for each token"),
        ("9.2", lambda types, share, size, seed: types % 2, "of all types should be labelled 1"),
        ("9.3", lambda *given: [None][0], "a number"),
        ("9.3", lambda *given: 0.5, "the selectivity"),
        ("9.4", lambda weights, step, real: weights, "the shape should be (3,)"),
        ("9.4", lambda weights, step, real: torch.zeros(3), "the attention at step 1"),
    ]
)


def test_each_typical_mistake_gets_a_sentence_of_its_own():
    tasks = {"9.1": TOP_K, "9.2": CONTROLS, "9.3": SELECTIVITIES, "9.4": ATTENTIONS}
    for name, mistakes in tasks.items():
        for words, answer in mistakes.items():
            assert words in check(name, answer).message, (name, words, check(name, answer).message)
