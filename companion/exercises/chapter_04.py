"""Checkers of chapter 4, "The Transformer encoder"."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from companion.exercises import exercise, expect, expect_close
from companion.model import BertConfig, BertModel
from companion.model.attention import MultiHeadAttention
from companion.model.encoder import BertLayer

Answer = Callable[..., Any]


def near(one: Any, other: Tensor) -> bool:
    return (
        isinstance(one, Tensor)
        and one.shape == other.shape
        and torch.allclose(one.to(other.dtype), other, atol=1e-5)
    )


def stir(module: nn.Module) -> None:
    """Add noise to every number, so that no bias is zero and no gain one."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))


def weights_of(
    attention: MultiHeadAttention,
    states: Tensor,
    head: int,
    *,
    interleaved: bool = False,
    columns: bool = False,
    bias: bool = True,
    whole_root: bool = False,
) -> Tensor:
    """Weights (B, T, T) of one head; each option is a typical slip."""
    width, heads = states.size(-1), attention.num_heads
    size = width // heads
    own = slice(head, None, heads) if interleaved else slice(head * size, (head + 1) * size)
    q, k = (
        states @ (part.weight[:, own] if columns else part.weight[own].T)
        + (part.bias[own] if bias else 0)
        for part in (attention.query, attention.key)
    )  # (B, T, H)
    return (q @ k.mT / math.sqrt(width if whole_root else size)).softmax(-1)


def slip(**options: bool) -> Answer:
    return lambda attention, states, head: weights_of(attention, states, head, **options)


SLICES: dict[str, Answer] = {
    "takes every N-th coordinate; a head has H in a row, from head * H": slip(interleaved=True),
    "takes columns of the matrix; nn.Linear keeps one row for each coordinate that comes out": slip(
        columns=True
    ),
    "leaves out the biases of query and key": slip(bias=False),
    "divides by the root of the whole width; a head is H wide, and its scores need the root of H": (
        slip(whole_root=True)
    ),
}


@exercise("4.1", wrong=[*SLICES.values()])
def weights_of_one_head(answer: Answer) -> str:
    for width, heads in ((12, 3), (8, 4), (10, 1)):
        config = BertConfig(9, width, 1, heads, attention_probs_dropout_prob=0.0)
        attention = MultiHeadAttention(config).eval()
        stir(attention)
        states = torch.randn(2, 5, width)
        every = attention(states)[1]  # (B, N, T, T)
        for head in range(heads):
            with torch.no_grad():
                got = answer(attention, states.clone(), head)
            where = f"for head {head} of {heads}, width {width},"
            for sentence, wrong in SLICES.items():
                seen = heads > 1 and near(got, wrong(attention, states, head).detach())
                expect(not seen, f"{where} your function {sentence}")
            expect_close(got, every[:, head].detach(), f"{where} the weights", absolute=1e-5)
    return "a head is H rows of the query's matrix and H of the key's, and the root of H"


def rotation(k: int, width: int, *, turn: int = 1, order: str = "pairs") -> Tensor:
    """The matrix that moves a position by k; `turn` -1 and the other orders are slips."""
    i = torch.arange(width // 2, dtype=torch.float64)
    angle = k * 10000.0 ** (-2 * i / width)
    if order == "one frequency":
        angle = torch.full_like(angle, float(k))
    c, s = angle.cos(), turn * angle.sin()
    if order == "halves":  # all sines first, then all cosines
        top, below = torch.cat([c.diag(), s.diag()], 1), torch.cat([-s.diag(), c.diag()], 1)
        return torch.cat([top, below])
    return torch.block_diag(*torch.stack([c, s, -s, c], -1).view(-1, 2, 2))


def positions(count: int, width: int) -> Tensor:
    i = torch.arange(0, width, 2, dtype=torch.float64)
    angle = torch.arange(count, dtype=torch.float64)[:, None] * 10000.0 ** (-i / width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def turned(**options: Any) -> Answer:
    return lambda k, width: rotation(k, width, **options)


ROTATIONS: dict[str, Answer] = {
    "moves by -k: the signs of the two sines are exchanged": turned(turn=-1),
    "turns every pair at the same speed; pair i turns by k * 10000 ** (-2 * i / width)": turned(
        order="one frequency"
    ),
    "expects all sines first and all cosines after them; in the table they take turns": turned(
        order="halves"
    ),
    "leaves every position where it is": lambda k, width: torch.eye(width),
}


@exercise("4.2", wrong=[*ROTATIONS.values()])
def shift_matrix(answer: Answer) -> str:
    for k, width in ((3, 6), (-2, 8), (40, 4), (0, 6)):
        got = answer(k, width)
        where = f"for k = {k} and width {width} the matrix"
        for sentence, wrong in ROTATIONS.items():
            other = wrong(k, width)
            seen = isinstance(got, Tensor) and near(got.double(), other.double())
            expect(k == 0 or not seen, f"{where} {sentence}")
        expect_close(got, rotation(k, width), where, absolute=1e-5)
        table = positions(100, width)
        start, end = table[max(0, -k) : 50], table[max(0, k) : 50 + k]
        expect_close(start @ got.double().T, end, f"{where} times a position", absolute=1e-4)
    return "one matrix moves every position by k, whichever position it is"


def pre_norm(layer: BertLayer, x: Tensor, mistake: str = "") -> Tensor:
    first, second = layer.attention.output.LayerNorm, layer.output.LayerNorm

    def attend(x: Tensor) -> Tensor:
        context, _ = layer.attention.self(x)
        return context if mistake == "no projection" else layer.attention.output.dense(context)

    def feed(x: Tensor) -> Tensor:
        return layer.output.dense(layer.intermediate(x))

    if mistake == "post":
        x = first(x + attend(x))
        return second(x + feed(x))
    if mistake == "normed residual":
        x = first(x) + attend(first(x))
        return second(x) + feed(second(x))
    if mistake == "no residual":
        return feed(second(attend(first(x))))
    y = x + attend(first(x))
    if mistake == "side by side":
        return y + feed(second(x))
    return y + feed((first if mistake == "one norm" else second)(y))


def arranged(mistake: str) -> Answer:
    return lambda layer, x: pre_norm(layer, x, mistake)


ARRANGEMENTS: dict[str, Answer] = {
    "this is the layer as BERT has it, the norm after each sum; put it before each block": arranged(
        "post"
    ),
    "the residual carries the normalised states; it should carry x itself, untouched": arranged(
        "normed residual"
    ),
    "nothing is added to x: both residuals are missing": arranged("no residual"),
    "the attention's output projection, `attention.output.dense`, is missing": arranged(
        "no projection"
    ),
    "the same layer norm is used twice; the second is `layer.output.LayerNorm`": arranged(
        "one norm"
    ),
    "both blocks read the same x; the second should read the sum that the first one gave": arranged(
        "side by side"
    ),
}


@exercise("4.3", wrong=[*ARRANGEMENTS.values()])
def pre_norm_layer(answer: Answer) -> str:
    for width, heads, tokens in ((12, 3, 5), (8, 2, 1)):
        layer = BertLayer(BertConfig(9, width, 1, heads, 4 * width)).eval()
        stir(layer)
        states = torch.randn(2, tokens, width)
        with torch.no_grad():
            got = answer(layer, states.clone())
            for sentence, wrong in ARRANGEMENTS.items():
                expect(not near(got, wrong(layer, states)), sentence)
            want = pre_norm(layer, states)
        expect_close(got, want, f"the output for {tokens} tokens of width {width}", absolute=1e-4)
    return "each block reads normalised states, and x itself goes through by the side"


def albert(config: BertConfig, inner: int, slip: str = "") -> int:
    D, F, V = config.hidden_size, config.intermediate_size, config.vocab_size  # noqa: N806
    rows = V + config.max_position_embeddings + config.type_vocab_size
    factor = V * inner + (rows - V) * D if slip == "words only" else rows * inner
    norm = 2 * (D if slip == "words only" else inner)
    layer = 4 * (D * D + D) + 2 * D + (D * F + F) + (F * D + D) + 2 * D
    layers = config.num_hidden_layers if slip == "every layer" else 1
    mapping = 0 if slip == "no mapping" else inner * D + D
    biases = -layer + 4 * D * D + 2 * D * F if slip == "no biases" else 0
    return factor + norm + mapping + layers * layer + biases + D * D + D


def counted(mistake: str) -> Answer:
    return lambda config, inner: albert(config, inner, mistake)


COUNTS: dict[str, Answer] = {
    "counts the layer once for each of the layers, but they all use the same numbers": counted(
        "every layer"
    ),
    "leaves out the matrix and the bias that bring E to D": counted("no mapping"),
    "gives only the words the width E; positions, segments and their norm are E wide, too": counted(
        "words only"
    ),
    "leaves out biases, gains and shifts of the layer": counted("no biases"),
}


@exercise("4.4", wrong=[*COUNTS.values()])
def parameters_of_albert(answer: Answer) -> str:
    base = BertConfig.base(vocab_size=30000)
    sizes = (
        (base, 128),
        (BertConfig(100, 12, 3, 2, 20, max_position_embeddings=7, type_vocab_size=3), 5),
        (replace(base, hidden_size=1024, num_attention_heads=16, intermediate_size=4096), 128),
    )
    for config, inner in sizes:
        got, want = answer(config, inner), albert(config, inner)
        where = f"for D = {config.hidden_size} and E = {inner} your count"
        for sentence, wrong in COUNTS.items():
            expect(got == want or got != wrong(config, inner), f"{where} {sentence}")
        expect(got == want, f"{where} is {got:,} and should be {want:,}, {abs(got - want):,} off")
    return (
        f"ALBERT-base has {albert(base, 128):,} parameters, and no fewer operations than BERT-base"
    )


def takes_base(budget: int, vocab_size: int) -> BertConfig:
    return BertConfig.base(vocab_size=vocab_size)


def forgets_the_table(budget: int, vocab_size: int) -> BertConfig:
    layers = 4
    width = int(math.sqrt(budget / (12 * layers))) // 64 * 64
    return BertConfig(vocab_size, width, layers, width // 64, 4 * width)


def takes_tiny(budget: int, vocab_size: int) -> BertConfig:
    return BertConfig.tiny(vocab_size=vocab_size)


def all_in_the_table(budget: int, vocab_size: int) -> BertConfig:
    rows = vocab_size + 600
    width = int(math.sqrt(rows**2 + 35 * budget) - rows) // 18
    return BertConfig(vocab_size, width, 2, 1, 16)


@exercise("4.5", wrong=[takes_base, forgets_the_table, takes_tiny, all_in_the_table])
def my_bert(answer: Answer) -> str:
    for budget, vocab_size in ((10_000_000, 16_000), (25_000_000, 30_522), (60_000_000, 21_128)):
        where = f"for {budget:,} parameters and {vocab_size:,} tokens"
        config = answer(budget, vocab_size)
        expect(
            isinstance(config, BertConfig),
            f"{where} your function should return a BertConfig, not {type(config).__name__}",
        )
        expect(
            config.vocab_size == vocab_size,
            f"{where} the table has {config.vocab_size:,} rows: pass vocab_size on",
        )
        expect(
            config.num_hidden_layers >= 2,
            f"{where} there are {config.num_hidden_layers} layers; at least 2 can pass on what "
            "another token has learned from a third",
        )
        with torch.device("meta"):
            count = BertModel(config).num_parameters()
        says = f"{where} your BERT has {count:,} parameters"
        expect(count <= budget, f"{says}, {count - budget:,} too many; did you count the table?")
        expect(count >= 0.9 * budget, f"{says}; use at least nine tenths of the budget")
        share = vocab_size * config.hidden_size / count
        expect(
            share < 0.75, f"{says}, {share:.0%} of them in the token table; give the layers more"
        )
    shown = f"{config.num_hidden_layers} layers of width {config.hidden_size}"
    return f"three budgets are kept and used, the last one for {shown}"
