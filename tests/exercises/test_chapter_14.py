"""Exercises of chapter 14: right answers unlike the book's own are found right as well."""

import zlib

import torch

from companion.classification.long_texts.truncation import truncate
from companion.exercises import check
from tests.exercises.answers import found_right, told_what_is_missing


def keeps_by_deleting(ids, room):
    ids = list(ids)
    too_many = max(0, len(ids) - room)
    del ids[room // 4 : room // 4 + too_many]
    return ids


def leaves_the_last_one_short(ids, size, stride):
    found, start = [], 0
    while True:
        found.append(ids[start : start + size])
        if start + size >= len(ids):
            return found
        start += size - stride


def text_by_text(vectors, scores, counts):
    rows = []
    for vector, score, count in zip(vectors, scores, counts, strict=True):
        e = (score[:count] - score[:count].max()).exp()
        rows.append((e / e.sum()) @ vector[:count])
    return torch.stack(rows)


def hashes_names(documents):
    return [zlib.crc32(str(document).encode()) % 5 == 0 for document in documents]


def weighs_the_sure_ones(logits):
    p = logits.softmax(-1)
    sure = p.amax(-1)
    return ((sure / sure.sum())[:, None] * p).sum(0).log()


test_another_right_answer_is_found_right = found_right(
    [
        ("14.1", keeps_by_deleting),
        ("14.1", lambda ids, room: truncate(ids, room, "head+tail")),
        ("14.2", leaves_the_last_one_short),
        ("14.3", text_by_text),
        ("14.4", hashes_names),
        ("14.5", weighs_the_sure_ones),
        ("14.5", lambda logits: logits.amax(0)),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("14.1", lambda ids, room: ids, "do not fit"),
        ("14.2", lambda ids, size, stride: [ids[:size]], "do not forget the end"),
        ("14.2", lambda ids, size, stride: [ids], "each should hold 1 to"),
        ("14.3", lambda vectors, scores, counts: vectors.mean(), "one vector a text"),
        ("14.4", lambda documents: [False] * len(documents), "0% of the documents"),
        ("14.5", lambda logits: logits.mean(), "a tensor of 2 logits"),
    ]
)


def test_a_stride_that_is_taken_for_a_step_is_explained():
    def steps(ids, size, stride):
        starts = [*range(0, max(1, len(ids) - size), max(1, stride)), max(0, len(ids) - size)]
        return [ids[i : i + size] for i in dict.fromkeys(starts)]

    verdict = check("14.2", steps)
    assert not verdict.ok and "not how far a window moves" in verdict.message
