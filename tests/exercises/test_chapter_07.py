"""Exercises of chapter 7: right answers unlike the book's own are found right as well."""

import torch

from companion.exercises import check
from companion.exercises.chapter_07 import (
    FAKES,
    LOSSES,
    asks_everywhere,
    asks_masks_only,
    chooses_alone,
    forgets_special,
    hides_one_block,
    ignores_the_generator,
    labels_what_is_seen,
    masks_every_chosen,
    starts_too_many,
    swaps_the_shares,
    uses_one_draw_twice,
    writes_into_the_input,
)
from tests.exercises.answers import found_right, told_what_is_missing


def adds_up_one_by_one(logits, labels):
    total, count = 0.0, 0
    for scores, label in zip(logits.flatten(0, 1), labels.flatten().tolist(), strict=True):
        if label != -100:
            total += float(scores.logsumexp(0) - scores[label])
            count += 1
    return total / count


def hides_token_by_token(input_ids, chosen, draws, mask_id, ordinary_ids):
    seen, labels = input_ids.clone(), torch.full_like(input_ids, -100)
    for b, t in chosen.nonzero().tolist():
        labels[b, t] = input_ids[b, t]
        if draws[0, b, t] < 0.8:
            seen[b, t] = mask_id
        elif draws[0, b, t] < 0.8 + 0.1:
            seen[b, t] = ordinary_ids[int(draws[1, b, t] * len(ordinary_ids))]
    return seen, labels


def corrupts_token_by_token(masked_ids, labels, sampled, attention_mask):
    ids, answers = masked_ids.clone(), torch.zeros_like(masked_ids)
    for (b, t), token in zip((labels != -100).nonzero().tolist(), sampled.tolist(), strict=True):
        ids[b, t] = token
        answers[b, t] = int(token != labels[b, t])
    answers[attention_mask == 0] = -100
    return ids, answers


def pairs_of_neighbours(candidates, rate, generator):
    """Tokens 2k and 2k + 1 share a coin; which are neighbours is another question in each text."""
    texts, tokens = candidates.shape
    coins = torch.rand(texts, tokens, generator=generator) < rate
    shift = torch.randint(0, 2, (texts, 1), generator=generator)
    return candidates & coins.gather(1, (torch.arange(tokens) + shift) // 2)


test_another_right_answer_is_found_right = found_right(
    [
        ("7.1", adds_up_one_by_one),
        ("7.2", hides_token_by_token),
        ("7.3", corrupts_token_by_token),
        ("7.4", pairs_of_neighbours),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("7.1", lambda logits, labels: logits, "should have the shape"),
        ("7.1", lambda logits, labels: [None][0], "does your function return it?"),
        ("7.2", lambda ids, chosen, draws, mask_id, plain: ids, "should return two things"),
        ("7.2", lambda ids, chosen, draws, mask_id, plain: (ids, ids), "what is read"),
        ("7.3", lambda masked, labels, sampled, mask: masked, "should return two things"),
        ("7.3", lambda masked, labels, sampled, mask: (masked, mask), "discriminator reads"),
        ("7.4", lambda candidates, rate, generator: candidates.long(), "dtype bool"),
    ]
)


def test_each_typical_mistake_gets_a_sentence_of_its_own():
    for mistakes, name in ((LOSSES, "7.1"), (FAKES, "7.3")):
        for sentence, answer in mistakes.items():
            assert sentence in check(name, answer).message
    wanted = {
        ("7.2", masks_every_chosen): "10% get a stranger",
        ("7.2", uses_one_draw_twice): "only a tenth of the vocabulary",
        ("7.2", asks_masks_only): "are asked as well",
        ("7.2", asks_everywhere): "only chosen positions",
        ("7.2", labels_what_is_seen): "not the one that stands there now",
        ("7.2", swaps_the_shares): "what is read",
        ("7.2", writes_into_the_input): "make new ones",
        ("7.4", chooses_alone): "as if each were chosen alone",
        ("7.4", forgets_special): "special tokens",
        ("7.4", starts_too_many): "you choose",
        ("7.4", ignores_the_generator): "another generator",
        ("7.4", hides_one_block): "too little is left",
    }
    for (name, answer), words in wanted.items():
        assert words in check(name, answer).message, (name, answer.__name__)
