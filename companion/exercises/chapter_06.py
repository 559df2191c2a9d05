"""Checkers of chapter 6, "BERT, assembled"."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from companion.exercises import exercise, expect, expect_close, expect_equal
from companion.model import BertConfig, BertForMaskedLM, BertModel

Answer = Callable[..., Any]
Weights = dict[str, Tensor]
WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
SEGMENTS = "embeddings.token_type_embeddings.weight"


def random_weights(model: nn.Module) -> Weights:
    """A copy of the model's tensors, moved so that no bias is zero and no gain one."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def near(one: Any, other: Tensor) -> bool:
    same = isinstance(one, Tensor) and one.shape == other.shape
    return same and torch.allclose(one.float(), other, atol=1e-4)


def norm(
    w: Weights, x: Tensor, where: str, axis: int = -1, less: int = 0, eps: float = 1e-12
) -> Tensor:
    x = x - x.mean(axis, keepdim=True)
    x = x / (x.square().sum(axis, keepdim=True) / (x.size(axis) - less) + eps).sqrt()
    return x * w[where + "LayerNorm.weight"] + w[where + "LayerNorm.bias"]


def total(w: Weights, ids: Tensor, segments: Tensor, second: int = 1, third: int = 1) -> Tensor:
    return w[WORDS][ids] + second * w[POSITIONS][: ids.size(1)] + third * w[SEGMENTS][segments]


def normed(
    w: Weights, ids: Tensor, segments: Tensor, second: int = 1, third: int = 1, **changes: Any
) -> Tensor:
    return norm(w, total(w, ids, segments, second, third), "embeddings.", **changes)


SUMS: dict[str, Answer] = {
    "these are the sums of three rows; LayerNorm is still to come": total,
    "the gain and shift of LayerNorm are missing": lambda w, ids, segments: F.layer_norm(
        total(w, ids, segments), (w[WORDS].size(1),), eps=1e-12
    ),
    "your epsilon is 1e-5, PyTorch's default; BERT's is 1e-12": partial(normed, eps=1e-5),
    "the rows of the position table are missing from the sum": partial(normed, second=0),
    "the rows of the segment table are missing from the sum": partial(normed, third=0),
    "you divide by the sample's standard deviation, with D - 1 in its denominator; LayerNorm "
    "takes D: `x.var(-1, correction=0)`": partial(normed, less=1),
    "you normalise over the tokens of a text; LayerNorm works on the D numbers of each token "
    "alone, the last axis": partial(normed, axis=1),
}


@exercise("6.1", wrong=[*SUMS.values()])
def embed(answer: Answer) -> str:
    for width, tokens, size in ((12, 5, 0.02), (8, 9, 0.01)):
        model = BertModel(BertConfig(30, width, 0, 2), add_pooling_layer=False).eval()
        weights = random_weights(model)
        for table in (WORDS, POSITIONS, SEGMENTS):
            weights[table] *= size
        model.load_state_dict(weights)
        ids = torch.randint(0, 30, (2, tokens))
        segments = (torch.arange(tokens) > torch.tensor([[2], [3]])).long()
        got = answer(dict(weights), ids, segments)
        for sentence, wrong in SUMS.items():
            expect(not near(got, wrong(weights, ids, segments)), sentence)
        want = model.embeddings(ids, segments)
        expect_close(got, want, f"the vectors of 2 texts of {tokens} tokens", relative=1e-3)
    return "three rows a token, added and normalised, as BertEmbeddings gives them"


def scores(
    w: Weights, states: Tensor, gelu: str = "none", normed: bool = True, turned: bool = False
) -> Tensor:
    where = "cls.predictions.transform."
    matrix = w[where + "dense.weight"]
    x = F.linear(states, matrix.T if turned else matrix, w[where + "dense.bias"])
    x = x if gelu == "left out" else F.gelu(x, approximate=gelu)
    x = norm(w, x, where) if normed else x
    return F.linear(x, w["bert." + WORDS], w["cls.predictions.bias"])


SCORES: dict[str, Answer] = {
    "the states go straight to the table; first comes the transform, dense, GELU, LayerNorm": (
        lambda w, states: F.linear(states, w["bert." + WORDS], w["cls.predictions.bias"])
    ),
    "the LayerNorm between GELU and the table is missing": partial(scores, normed=False),
    "the GELU between dense and LayerNorm is missing": partial(scores, gelu="left out"),
    "the dense layer's matrix is turned the wrong way: it is kept as (outputs, inputs), so take "
    "`states @ matrix.T` or `F.linear`": partial(scores, turned=True),
    "this is the approximation of GELU by tanh; the exact one is x * Phi(x), `F.gelu(x)`": (
        partial(scores, gelu="tanh")
    ),
    "the bias of each word, `cls.predictions.bias`, is missing": lambda w, states: (
        scores(w, states) - w["cls.predictions.bias"]
    ),
}


@exercise("6.2", wrong=[*SCORES.values()])
def masked_word_scores(answer: Answer) -> str:
    for shape in ((2, 4, 12), (5, 12)):
        model = BertForMaskedLM(BertConfig(30, 12, 0, 2)).eval()
        weights = random_weights(model)
        states = 2 * torch.randn(shape)
        got = answer(dict(weights), states.clone())
        for sentence, wrong in SCORES.items():
            expect(not near(got, wrong(weights, states)), sentence)
        want = model.cls.predictions(states, weights["bert." + WORDS])
        expect_close(got, want, f"the scores of states of the shape {shape}", relative=1e-3)
    return "dense, GELU, LayerNorm, and the token table once more: the head of BertForMaskedLM"


AGED = {
    "bert.embeddings.word_embeddings.weight": "embeddings.word_embeddings.weight",
    "bert.embeddings.LayerNorm.gamma": "embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.beta": "embeddings.LayerNorm.bias",
    "bert.encoder.layer.3.output.dense.bias": "encoder.layer.3.output.dense.bias",
    "encoder.layer.0.attention.self.query.weight": "encoder.layer.0.attention.self.query.weight",
    "cls.predictions.transform.LayerNorm.beta": "cls.predictions.transform.LayerNorm.bias",
    # Not of BERT, but a file may hold them.
    "adapter.gamma_rays.weight": "adapter.gamma_rays.weight",
    "adapter.digamma": "adapter.digamma",
    "adapter.bert.betas": "adapter.bert.betas",
}


def modern_end(name: str) -> str:
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


MISNAMED: list[Answer] = [
    modern_end,  # the prefix stays
    lambda name: modern_end(name.lstrip("bert.")),
    lambda name: modern_end(name.replace("bert.", "")),
    lambda name: re.sub("beta$", "bias", re.sub("gamma$", "weight", name.removeprefix("bert."))),
    lambda name: name.removeprefix("bert.").replace(".gamma", ".bias").replace(".beta", ".weight"),
]


@exercise("6.3", wrong=MISNAMED)
def modern_name(answer: Answer) -> str:
    for old, new in AGED.items():
        got = answer(old)
        expect(isinstance(got, str), f"modern_name({old!r}) should return a string")
        hints = {
            "the prefix `bert.` is still there; the body alone has none": got.startswith("bert."),
            "it lost too much: str.lstrip takes off letters of a set, str.removeprefix a whole "
            "prefix": new.endswith(got),
            "take `bert.` off the front only, and exchange `gamma` and `beta` only where they are "
            "the whole last part": old.startswith("adapter."),
        }
        for hint, fits in hints.items():
            expect(got == new or not fits, f"{old!r} became {got!r}: {hint}")
        expect_equal(got, new, f"the name of {old!r} today")
    return f"{len(AGED)} names, old, new and foreign, are what they should be"


NEIGHBOURS = "both, at most two tokens away"
VISIBLE: dict[str, Callable[[Tensor], Tensor]] = {
    "left to right": torch.tril,
    "right to left": torch.triu,
    "both": lambda ones: ones,
    "neither": lambda ones: ones.tril().triu(),
    NEIGHBOURS: lambda ones: ones.triu(-2).tril(2),
}


class Reader(nn.Module):
    """Each position adds up numbers of the tokens that it may see: whole ones, so exactly."""

    def __init__(self, kind: str, vocab_size: int, dropout: float) -> None:
        super().__init__()
        self.visible = VISIBLE[kind]
        self.table = 1 + torch.randperm(vocab_size).double()
        self.places = torch.randint(100_000, 1_000_000, (64,))
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor) -> Tensor:
        length = input_ids.size(1)
        numbers = self.table[input_ids] * self.places[:length]  # (B, T)
        visible = self.visible(torch.ones(length, length, dtype=torch.float64))
        return self.dropout((visible @ numbers[..., None]).expand(-1, -1, 6))  # (B, T, 6)


def moved(model: nn.Module, ids: Tensor, place: int, new: int | None = None) -> Tensor:
    """Which positions change when one token does: (T,) bool."""
    changed = ids.clone()
    changed[0, place] = 1 - ids[0, place].clamp(max=1) if new is None else new  # never the same
    with torch.no_grad():
        return (model(ids) != model(changed))[0].any(-1)


def verdict(sees_left: Any, sees_right: Any) -> str:
    words = {(True, True): "both", (True, False): "left to right", (False, True): "right to left"}
    return words.get((bool(sees_left), bool(sees_right)), "neither")


def never_calls_eval(model: nn.Module, ids: Tensor, vocab_size: int) -> str:
    return verdict(moved(model, ids, 0)[-1], moved(model, ids, -1)[0])


def looks_at_the_ends_only(model: nn.Module, ids: Tensor, vocab_size: int) -> str:
    return never_calls_eval(model.eval(), ids, vocab_size)


def always_writes_zero(model: nn.Module, ids: Tensor, vocab_size: int) -> str:
    found = moved(model.eval(), ids, 4, new=0)
    return verdict(found[5:].any(), found[:4].any())


@exercise("6.4", wrong=[never_calls_eval, looks_at_the_ends_only, always_writes_zero])
def reading_direction(answer: Answer) -> str:
    texts = {
        "different ids": (1 + torch.randperm(11)[None, :9], 12),
        "zeros": (torch.zeros(1, 9, dtype=torch.long), 12),
        "the last id": (torch.full((1, 9), 11), 12),
        "zeros and ones": (torch.randint(0, 2, (1, 9)), 2),
    }
    for kind in VISIBLE:
        want = kind.split(",")[0]
        for name, (ids, vocab_size) in texts.items():
            text = f"for a model that reads {kind!r} and a text of {name}"
            got = answer(Reader(kind, vocab_size, 0.0), ids.clone(), vocab_size)
            text = f"{text}: your answer is {got!r}"
            expect(kind != NEIGHBOURS or got == want, f"{text}. Look from the middle of the text")
            turned = {got, want} == {"left to right", "right to left"}
            expect(not turned, f"{text}. Reading left to right, a change shows at the tokens after")
            stuck = got == "neither" != want and name != "different ids"
            expect(not stuck, f"{text}. Did you replace a token by itself? Nothing changes then")
            expect_equal(got, want, "the answer " + text.split(":")[0])
            got = answer(Reader(kind, vocab_size, 0.5).train(), ids.clone(), vocab_size)
            expect(
                got == want,
                f"for the same model with dropout and in train mode your answer is {got!r}: "
                "dropout changes every position at every call, so call model.eval() first",
            )
    return "five kinds of reader are told apart, in train mode too"


def from_shapes(weights: Weights, heads: int) -> BertConfig:
    """The config that names and shapes show, with a guess for what they do not."""
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.")})
    positions, (rows, width) = len(weights[POSITIONS]), weights[WORDS].shape
    return BertConfig(rows, width, layers, heads, 50, max_position_embeddings=positions)


def distance(config: BertConfig, weights: Weights, ids: Tensor, wanted: Tensor) -> float:
    model = BertModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        return float((model(ids).last_hidden_state - wanted).abs().max())


def tries_heads_only(weights: Weights, ids: Tensor, wanted: Tensor) -> BertConfig:
    tried = [from_shapes(weights, n) for n in (1, 2, 3, 4, 6, 8, 12, 24)]
    return min(tried, key=lambda config: distance(config, weights, ids, wanted))


@exercise("6.5", wrong=[tries_heads_only])
def recover_config(answer: Answer) -> str:
    for layers, heads, act in (
        (2, 4, "gelu"),
        (3, 2, "relu"),
        (11, 6, "gelu"),
        (11, 3, "gelu_new"),
    ):
        config = BertConfig(40, 24, layers, heads, 50, act, max_position_embeddings=16)
        model = BertModel(config, add_pooling_layer=False).eval()
        weights, ids = random_weights(model), torch.randint(0, 40, (3, 16))
        with torch.no_grad():
            wanted = model(ids).last_hidden_state
        got = answer(dict(weights), ids.clone(), wanted.clone())
        what = f"for a model of {layers} layers"
        kind = f"{type(got).__module__}.{type(got).__name__}"
        expect(isinstance(got, BertConfig), f"{what} return companion's BertConfig, not {kind}")
        sizes = "vocab_size hidden_size num_hidden_layers intermediate_size type_vocab_size"
        for field in [*sizes.split(), "max_position_embeddings"]:
            expect_equal(getattr(got, field), getattr(config, field), f"{what} {field}")
        expect(
            distance(got, weights, ids, wanted) < 1e-4,
            f"{what} the tensors fit your config, but the hidden states do not agree: you say "
            f"heads: {got.num_attention_heads}, {got.hidden_act}; try every number of heads "
            "that divides the width, with each activation",
        )
    return "sizes from the shapes, heads and activation from the numbers: the config is found again"
