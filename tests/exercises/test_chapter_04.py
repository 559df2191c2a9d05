"""Exercises of chapter 4: right answers unlike the book's own are found right as well."""

import math

import torch
import transformers

from companion import BertConfig
from companion.exercises.chapter_04 import albert
from companion.model.attention import split_heads
from tests.exercises.answers import found_right, told_what_is_missing


def computes_every_head(attention, states, head):
    q, k = (
        split_heads(part(states), attention.num_heads) for part in (attention.query, attention.key)
    )
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)[:, head]


def turns_complex_numbers(k, width):
    turns = torch.exp(1j * k * 10000.0 ** (-torch.arange(0, width, 2) / width))
    return torch.block_diag(*[torch.tensor([[z.real, z.imag], [-z.imag, z.real]]) for z in turns])


def fits_the_matrix(k, width):
    speeds = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(4000, dtype=torch.float64)[:, None] * speeds
    pairs = torch.stack([angle.sin(), angle.cos()], -1)
    moved = torch.stack([(angle + k * speeds).sin(), (angle + k * speeds).cos()], -1)
    blocks = [torch.linalg.lstsq(pairs[:, i], moved[:, i]).solution.T for i in range(width // 2)]
    return torch.block_diag(*blocks)


def moves_the_norms(layer, x):
    for block, norm in (
        (lambda y: layer.attention.output.dense(layer.attention.self(y)[0]), "attention.output"),
        (lambda y: layer.output.dense(layer.intermediate(y)), "output"),
    ):
        x = block(layer.get_submodule(norm).LayerNorm(x)) + x
    return x


def builds_an_albert(config, inner):
    with torch.device("meta"):
        model = transformers.AlbertModel(
            transformers.AlbertConfig(
                vocab_size=config.vocab_size,
                embedding_size=inner,
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size,
                max_position_embeddings=config.max_position_embeddings,
                type_vocab_size=config.type_vocab_size,
                pad_token_id=0,
            )
        )
    return sum(parameter.numel() for parameter in model.parameters())


def widens_two_layers(budget, vocab_size):
    width = 8
    while (vocab_size + 514) * (width + 8) + 25 * (width + 8) ** 2 + 60 * (width + 8) < budget:
        width += 8
    return BertConfig(vocab_size, width, 2, 4, 4 * width)


test_another_right_answer_is_found_right = found_right(
    [
        ("4.1", computes_every_head),
        ("4.2", turns_complex_numbers),
        ("4.2", fits_the_matrix),
        ("4.3", moves_the_norms),
        ("4.4", builds_an_albert),
        ("4.5", widens_two_layers),
    ]
)


def test_albert_base_has_its_published_size():
    # 11,683,584 in the checkpoint albert-base-v2, "12M" in Lan et al. 2020, table 1
    assert albert(BertConfig.base(vocab_size=30000), 128) == 11_683_584


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("4.1", lambda attention, states, head: attention(states)[1], "should have the shape"),
        ("4.2", lambda k, width: torch.eye(width + 1), "should have the shape"),
        ("4.3", lambda layer, x: layer(x, None)[0], "put it before each block"),
        ("4.4", lambda config, inner: 0, "should be 11,683,584"),
        ("4.5", lambda budget, vocab_size: budget, "return a BertConfig"),
    ]
)
