"""Exercises of chapter 8: right answers unlike the book's own are found right as well."""

import torch

from companion.exercises import check
from companion.exercises.chapter_08 import (
    HOURS,
    PACKINGS,
    SCHEDULES,
    SEPARATIONS,
    longest_first,
)
from tests.exercises.answers import found_right, told_what_is_missing


def separates_token_by_token(documents):
    rows, width = documents.shape
    numbers = torch.full((rows, width), 7)  # whatever stands at padding
    mask = torch.zeros(rows, width, width, dtype=torch.bool)
    for b in range(rows):
        for i, own in enumerate(documents[b].tolist()):
            members = [j for j, d in enumerate(documents[b].tolist()) if d == own != 0]
            if members:
                numbers[b, i] = i - members[0]
                mask[b, i, members] = True
    return numbers, mask


def forward_and_backward(config, tokens, attended, peak, mfu, mask_rate=0.15):
    D, F, V = config.hidden_size, config.intermediate_size, config.vocab_size  # noqa: N806
    per_layer = 2 * (4 * D * D + 2 * D * F) + 4 * D * attended
    forward = config.num_hidden_layers * per_layer + 2 * mask_rate * D * (D + V)
    return 3 * forward * tokens / 3600 / peak / mfu


def smallest_of_three(step, total, warmup, decay):
    rise = (step + 1) / warmup if warmup else 1
    fall = (total - step) / decay if decay else 1
    return min(1, rise, fall)


test_another_right_answer_is_found_right = found_right(
    [
        ("8.1", separates_token_by_token),
        ("8.2", lambda sizes, room: tuple(tuple(row) for row in longest_first(sizes, room))),
        ("8.2", lambda sizes, room: [*longest_first(sizes, room), []]),
        ("8.3", forward_and_backward),
        ("8.4", smallest_of_three),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("8.1", lambda documents: documents, "should return two things"),
        ("8.1", lambda documents: (documents[0], documents), "position ids should be a tensor"),
        ("8.2", lambda sizes, room: len(sizes), "a list of rows"),
        ("8.2", lambda sizes, room: [], "nothing may be lost"),
        ("8.3", lambda *given: [None][0], "does your function return it?"),
        ("8.3", lambda *given: 1.0, "the hours of a BERT of 12 layers"),
        ("8.4", lambda *given: [None][0], "a number for every step"),
        ("8.4", lambda *given: 1.0, "there is no warm-up"),
    ]
)


def test_each_typical_mistake_gets_a_sentence_of_its_own():
    tasks = {"8.1": SEPARATIONS, "8.2": PACKINGS, "8.3": HOURS, "8.4": SCHEDULES}
    for name, mistakes in tasks.items():
        for words, answer in mistakes.items():
            assert words in check(name, answer).message, (name, words)
