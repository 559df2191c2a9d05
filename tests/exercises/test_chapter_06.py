"""Exercises of chapter 6: right answers unlike the book's own are found right as well."""

import re
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812

from companion.exercises import check
from companion.exercises.chapter_06 import (
    MISNAMED,
    SCORES,
    SUMS,
    always_writes_zero,
    looks_at_the_ends_only,
    never_calls_eval,
    tries_heads_only,
)
from companion.model import BertConfig, BertModel
from tests.exercises.answers import found_right, told_what_is_missing


def embeds_one_text_at_a_time(weights, input_ids, token_type_ids):
    rows = []
    for ids, segments in zip(input_ids, token_type_ids, strict=True):
        total = F.embedding(ids, weights["embeddings.word_embeddings.weight"])
        total = total + F.embedding(segments, weights["embeddings.token_type_embeddings.weight"])
        total = total + F.embedding(
            torch.arange(len(ids)), weights["embeddings.position_embeddings.weight"]
        )
        centred = total - total.mean(-1, keepdim=True)
        scaled = centred * centred.square().mean(-1, keepdim=True).rsqrt()
        rows.append(
            scaled * weights["embeddings.LayerNorm.weight"] + weights["embeddings.LayerNorm.bias"]
        )
    return torch.stack(rows)


def scores_with_erf(weights, hidden):
    w = {name.removeprefix("cls.predictions."): x for name, x in weights.items()}
    x = F.linear(hidden, w["transform.dense.weight"], w["transform.dense.bias"])
    x = x * 0.5 * (1 + torch.erf(x / 2**0.5))
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-12).sqrt()
    x = x * w["transform.LayerNorm.weight"] + w["transform.LayerNorm.bias"]
    return F.linear(x, w["bert.embeddings.word_embeddings.weight"], w["bias"])


def renames_with_patterns(name):
    name = re.sub(r"^bert\.", "", name)
    return re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name))


def changes_every_token(model, input_ids, vocab_size):
    model.eval()
    length = input_ids.size(1)
    with torch.no_grad():
        before = model(input_ids)[0]
        seen = torch.zeros(length, length, dtype=torch.bool)  # (who, whom)
        for j in range(length):
            changed = input_ids.clone()
            changed[0, j] = vocab_size - 1 - changed[0, j]
            if changed[0, j] == input_ids[0, j]:
                changed[0, j] = 0 if changed[0, j] else 1
            seen[:, j] = ((model(changed)[0] - before).abs() > 1e-6).any(-1)
    left, right = bool(seen.tril(-1).any()), bool(seen.triu(1).any())
    if left and right:
        return "both"
    return "left to right" if left else "right to left" if right else "neither"


@torch.no_grad()
def draws_another_id(model, input_ids, vocab_size):
    """Wrong: the id that is drawn may be the one that stood there."""
    model.eval()
    changed = input_ids.clone()
    changed[0, 4] = torch.randint(vocab_size, ())
    moved = (model(changed) != model(input_ids))[0].any(-1)
    words = {(1, 1): "both", (0, 1): "left to right", (1, 0): "right to left"}
    return words.get((bool(moved[:4].any()), bool(moved[5:].any())), "neither")


@torch.no_grad()
def reads_less_of_the_text(model, input_ids, vocab_size):
    model.eval()
    half = input_ids.size(1) // 2
    before = model(input_ids)[0]
    changed = torch.cat([(input_ids[:, :half] + 1) % vocab_size, input_ids[:, half:]], 1)
    right = not torch.equal(model(input_ids[:, :half])[0], before[:half])
    left = not torch.equal(model(changed)[0, half:], before[half:])
    words = {(1, 1): "both", (1, 0): "left to right", (0, 1): "right to left"}
    return words.get((left, right), "neither")


def tries_everything(weights, input_ids, last_hidden_state):
    vocab, width = weights["embeddings.word_embeddings.weight"].shape
    for heads, act in product(range(1, width + 1), ("relu", "gelu", "gelu_new")):
        if width % heads:
            continue
        config = BertConfig(
            vocab_size=vocab,
            hidden_size=width,
            num_hidden_layers=sum(name.endswith("self.query.weight") for name in weights),
            num_attention_heads=heads,
            hidden_act=act,
            intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
            max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
            type_vocab_size=len(weights["embeddings.token_type_embeddings.weight"]),
        )
        model = BertModel(config, add_pooling_layer=False).eval()
        model.load_state_dict(weights)
        model.fast = False
        with torch.no_grad():
            if torch.allclose(model(input_ids).last_hidden_state, last_hidden_state, atol=1e-4):
                return config
    return None


test_another_right_answer_is_found_right = found_right(
    [
        ("6.1", embeds_one_text_at_a_time),
        ("6.2", scores_with_erf),
        ("6.3", renames_with_patterns),
        ("6.4", changes_every_token),
        ("6.4", reads_less_of_the_text),
        ("6.5", tries_everything),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("6.1", lambda weights, ids, segments: ids, "should have the shape"),
        ("6.1", lambda weights, ids, segments: [None][0], "does your function return it?"),
        ("6.2", lambda weights, hidden: hidden, "should have the shape"),
        ("6.3", lambda name: name.split("."), "should return a string"),
        ("6.4", lambda model, ids, vocab_size: "both", "should be 'left to right'"),
        ("6.4", lambda model, ids, vocab_size: "right to left", "at the tokens after"),
        ("6.4", draws_another_id, "by itself"),
        ("6.5", lambda weights, ids, states: {"num_attention_heads": 4}, "not builtins.dict"),
    ]
)


def test_each_typical_mistake_gets_a_sentence_of_its_own():
    for mistakes, name in ((SUMS, "6.1"), (SCORES, "6.2")):
        for sentence, answer in mistakes.items():
            assert sentence in check(name, answer).message
    wanted = {
        ("6.3", MISNAMED[1]): "removeprefix",
        ("6.3", MISNAMED[3]): "whole last part",
        ("6.4", never_calls_eval): "model.eval()",
        ("6.4", looks_at_the_ends_only): "from the middle",
        ("6.4", always_writes_zero): "by itself",
        ("6.5", tries_heads_only): "with each activation",
    }
    for (name, answer), words in wanted.items():
        assert words in check(name, answer).message, (name, answer.__name__)
