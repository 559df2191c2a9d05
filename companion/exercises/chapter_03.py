"""Checkers of chapter 3, "Attention"."""

import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from companion.exercises import exercise, expect, expect_close
from companion.model import scaled_dot_product_attention

Answer = Callable[..., Any]
Block = tuple[Tensor, Tensor]
Triple = tuple[Tensor, Tensor, Tensor]
WITHOUT_ROOT = "weights the bare dot products; divide them by the root of the width first"


def near(one: Any, other: Tensor) -> bool:
    return (
        isinstance(one, Tensor)
        and one.shape == other.shape
        and torch.allclose(one.to(other.dtype), other, atol=1e-5)
    )


def without_root(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return (keys @ query).softmax(0) @ values


def divides_by_width(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return without_root(query / len(query), keys, values)


def takes_the_best(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return values[(keys @ query).argmax()]


def shares_of_scores(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    scores = keys @ query / math.sqrt(len(query))
    return scores / scores.sum() @ values


@exercise("3.1", wrong=[without_root, divides_by_width, takes_the_best, shares_of_scores])
def soft_lookup(answer: Answer) -> str:
    hints = {
        without_root: WITHOUT_ROOT,
        divides_by_width: "comes from scores divided by the width; divide by its root",
        takes_the_best: "is the value of the best key; every value counts with its weight",
    }
    for count, width, value_width in ((3, 4, 2), (1, 2, 3), (7, 16, 5)):
        query, keys = 2 * torch.randn(width), torch.randn(count, width)
        values = torch.randn(count, value_width)
        got = answer(query.clone(), keys.clone(), values.clone())
        where = f"the answer to a query of width {width} among {count} keys"
        for slip, hint in hints.items():
            expect(count == 1 or not near(got, slip(query, keys, values)), f"{where} {hint}")
        expect_close(got, scaled_dot_product_attention(query[None], keys, values)[0][0], where)
    return "the values are averaged with the softmax of the scaled scores"


def allowed(lengths: Tensor, causal: bool = False) -> Tensor:
    longest = int(lengths.max())
    mask = (torch.arange(longest) < lengths[:, None])[:, None].repeat(1, longest, 1)  # (B, T, T)
    return mask.tril() if causal else mask


def hides_queries(lengths: Tensor, causal: bool = False) -> Tensor:
    mask = allowed(lengths).transpose(1, 2)
    return mask.tril() if causal else mask


def hides_the_present(lengths: Tensor, causal: bool = False) -> Tensor:
    return allowed(lengths).tril(-1) if causal else allowed(lengths)


def hides_the_past(lengths: Tensor, causal: bool = False) -> Tensor:
    return allowed(lengths).triu() if causal else allowed(lengths)


def forgets_padding(lengths: Tensor, causal: bool = False) -> Tensor:
    return allowed(lengths, causal) if causal else torch.ones_like(allowed(lengths))


def true_means_hidden(lengths: Tensor, causal: bool = False) -> Tensor:
    return ~allowed(lengths, causal)


@exercise(
    "3.2",
    wrong=[hides_queries, hides_the_present, hides_the_past, forgets_padding, true_means_hidden],
)
def may_see(answer: Answer) -> str:
    for sizes in ([3, 5, 1], [4, 4], [1, 2, 6, 3]):
        for causal in (False, True):
            want = allowed(torch.tensor(sizes), causal)
            got = answer(torch.tensor(sizes), causal=causal)
            where = f"for the lengths {sizes}" + (", causal," if causal else "")
            expect(isinstance(got, Tensor), "your function should return a tensor")
            say = f"{where} the mask holds {got.dtype}; say True and False, or 1 and 0"
            expect(not got.is_floating_point(), say)
            expect(
                got.shape == want.shape,
                f"{where} the mask should have the shape {tuple(want.shape)}, one row a query and "
                f"one column a key, but has {tuple(got.shape)}",
            )
            real = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]  # (B, T)
            # What the row of a padded query says is of no consequence.
            wrong = (got.bool() != want) & real[:, :, None]
            expect(
                not torch.equal(wrong, real[:, :, None].expand_as(wrong)),
                f"{where} it is the wrong way round: True means that a query may see a key",
            )
            if wrong.any():
                text, query, key = (int(place) for place in wrong.nonzero()[0])
                seen = f"{where} token {query} of text {text}"
                expect(key < sizes[text], f"{seen} sees position {key}, which is padding")
                expect(want[text, query, key], f"{seen} sees token {key}, which comes later")
                expect(key != query, f"{seen} must see itself, or the first token sees nothing")
                expect(False, f"{seen} should see token {key} but does not")
    return "no token sees padding, and in causal masks none sees the future"


def gradients(x: Tensor, weights: Triple, grad: Tensor, slip: str = "") -> tuple[Tensor, ...]:
    """Gradients of x, w_q, w_k and w_v; `slip` names a typical error."""
    q, k, v = (x @ w for w in weights)
    root = math.sqrt(q.shape[-1])
    a = (q @ k.T / root).softmax(-1)
    d_a = grad @ v.T
    d_s = a * (d_a - (0 if slip == "mean" else (a * d_a).sum(-1, keepdim=True)))
    d_s = d_s if slip == "root" else d_s / root
    heads = (d_s @ k, d_s.T @ q, a.T @ grad)  # of q, k and v
    ways = [d @ w.T for d, w in zip(heads, weights, strict=True)]
    d_x = ways[2] if slip == "value only" else sum(ways, torch.zeros_like(x))
    return d_x, *(heads if slip == "heads" else (x.T @ d for d in heads))


def slips(name: str) -> Answer:
    return lambda x, w_q, w_k, w_v, grad: gradients(x, (w_q, w_k, w_v), grad, name)


@exercise("3.3", wrong=[slips("root"), slips("mean"), slips("value only"), slips("heads")])
def projection_gradients(answer: Answer) -> str:
    for tokens, width, head_width, value_width in ((5, 5, 5, 5), (4, 6, 3, 2), (2, 3, 8, 1)):
        sizes = ((tokens, width), (width, head_width), (width, head_width), (width, value_width))
        leaves = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
        x, *weights = leaves
        q, k, v = (x @ w for w in weights)
        context, _ = scaled_dot_product_attention(q, k, v)
        grad = torch.randn_like(context)
        want = torch.autograd.grad(context, leaves, grad)
        plain = [leaf.detach().clone() for leaf in leaves]
        given = answer(*plain, grad.clone())
        expect(
            isinstance(given, tuple | list) and len(given) == 4,
            "your function should return four things: the gradients of x, w_q, w_k and w_v",
        )
        where = f"for {tokens} tokens of width {width}"
        only_value = gradients(plain[0], (plain[1], plain[2], plain[3]), grad, "value only")
        expect(
            not near(given[0], only_value[0]),
            f"{where} the gradient of x comes by way of the values alone; x was used three times, "
            "for queries, keys and values, and the three gradients add up",
        )
        names = ("w_v", "w_q", "w_k", "x")  # the easiest first
        for name, place in zip(names, (3, 1, 2, 0), strict=True):
            got = given[place]
            expect(
                not isinstance(got, Tensor) or not near(got / math.sqrt(head_width), want[place]),
                f"{where} the gradient of {name} is too large by the root of {head_width}: the "
                "scores were divided by it, so their gradient is, too",
            )
            expect_close(got, want[place], f"{where} the gradient of {name}", absolute=1e-5)
    return "all four gradients are autograd's"


def means_of_blocks(query: Tensor, blocks: Iterable[Block]) -> Tensor:
    found = [scaled_dot_product_attention(query[None], k, v)[0][0] for k, v in blocks]
    return torch.stack(found).mean(0)


def keeps_every_block(query: Tensor, blocks: Iterable[Block]) -> Tensor:
    keys, values = zip(*blocks, strict=True)
    return scaled_dot_product_attention(query[None], torch.cat(keys), torch.cat(values))[0][0]


def sums_exponentials(query: Tensor, blocks: Iterable[Block], *, shift: bool = False) -> Tensor:
    total, context = torch.zeros(()), torch.zeros(())
    for keys, values in blocks:
        scores = keys @ query / math.sqrt(len(query))
        e = (scores - scores.max() * shift).exp()
        total, context = total + e.sum(), context + e @ values
    return context / total


def forgets_to_rescale(query: Tensor, blocks: Iterable[Block]) -> Tensor:
    return sums_exponentials(query, blocks, shift=True)


def one_by_one(blocks: list[Block], kept: list[int]) -> Iterator[Block]:
    """Hand out each block once; `kept` gets those that are still in use long after."""
    seen: list[weakref.ref[Tensor]] = []
    while blocks:
        # The last block may still lie in the variables of the reader's loop.
        kept += [number for number, keys in enumerate(seen[:-1]) if keys() is not None]
        seen.append(weakref.ref(blocks[0][0]))
        yield blocks.pop(0)


@exercise("3.4", wrong=[means_of_blocks, keeps_every_block, sums_exponentials, forgets_to_rescale])
def attention_in_blocks(answer: Answer) -> str:
    kinds = (([2, 2], 1, 0), ([3, 1, 4, 5, 2], 1, 0), ([2, 3, 2, 4], 400, 0), ([1, 3, 2], 1, -800))
    for sizes, scale, shift in kinds:  # the third kind has large scores, the last none above zero
        query, keys = scale * torch.randn(4), torch.randn(sum(sizes), 4)
        keys = keys + shift * query / query.square().sum()
        values = torch.randn(sum(sizes), 3)
        cut = list(zip(keys.split(sizes), values.split(sizes), strict=True))
        left, kept = [(k.clone(), v.clone()) for k, v in cut], list[int]()
        got = answer(query.clone(), one_by_one(left, kept))
        where = f"for {sum(sizes)} keys in {len(sizes)} blocks"
        expect(isinstance(got, Tensor), "your function should return a tensor")
        expect(
            got.isfinite().all(),
            f"{where} and scores from {(keys @ query / 2).min():.0f} to "
            f"{(keys @ query / 2).max():.0f} the result is no number: subtract the largest score "
            "so far before exp, and begin with minus infinity for it",
        )
        expect(
            scale > 1 or not near(got, without_root(query, keys, values)),
            f"{where} the result {WITHOUT_ROOT}",
        )
        expect(
            not near(got, means_of_blocks(query, cut)),
            f"{where} the result is the mean of the blocks' answers; a block counts by its sum of "
            "exponentials",
        )
        want = scaled_dot_product_attention(query[None], keys, values)[0][0]
        expect_close(got, want, f"{where} the context", absolute=1e-4)
        expect(
            not kept,
            f"{where} an early block was still kept when a later one came: carry along the largest "
            "score, the sum and the weighted sum, and let the block go",
        )
    return "the context is that of all keys at once, from one pass over the blocks"


def bare_products(query: Tensor, key: Tensor, value: Tensor) -> Block:
    weights = (query @ key.transpose(-2, -1)).softmax(-1)
    return weights @ value, weights


def plain_mean(query: Tensor, key: Tensor, value: Tensor) -> Block:
    return bare_products(0 * query, key, value)


def over_the_width(query: Tensor, key: Tensor, value: Tensor) -> Block:
    return bare_products(query / query.shape[-1], key, value)


def winner_takes_all(query: Tensor, key: Tensor, value: Tensor) -> Block:
    scores = query @ key.transpose(-2, -1)
    weights = (scores == scores.amax(-1, keepdim=True)).to(value.dtype)
    return weights @ value, weights


@exercise("3.5", wrong=[plain_mean, bare_products, over_the_width, winner_takes_all])
def my_attention(answer: Answer) -> str:
    largest = []
    for width in (16, 256, 1024):
        q = torch.randn(2, 64, width, requires_grad=True)
        k, v, where = torch.randn(2, 16, width), torch.randn(2, 16, 5), f"at width {width}"
        given = answer(q, k, v)
        expect(
            isinstance(given, tuple | list) and len(given) == 2,
            "your function should return two things, the context and the weights",
        )
        context, weights = given
        expect_close(weights.sum(-1), torch.ones(2, 64), f"{where} the sum of a query's weights")
        expect((weights >= 0).all(), f"{where} a weight is below zero")
        expect_close(context, weights @ v, f"{where} the context", absolute=1e-4)
        order = torch.randperm(16)
        expect(
            near(answer(q, k[:, order], v[:, order])[0], context),
            f"{where} the context depends on the order in which keys and values stand",
        )
        top = weights.detach().amax(-1).mean().item()
        found = f"{where} the largest of 16 weights is {top:.2f} on average"
        expect(top > 0.1, f"{found}, as in a plain mean: the scores are too small to choose by")
        slope = None
        if context.requires_grad:
            (slope,) = torch.autograd.grad(context.square().sum(), q, allow_unused=True)
        expect(
            slope is not None and slope.isfinite().all() and slope.any(),
            f"{where} no gradient reaches the queries, so nothing could be learned",
        )
        expect(top < 0.75, f"{found} before anything is learned: the scores grow with the width")
        largest.append(f"{top:.2f}")
    return f"it is an attention, and its largest weight stays in bounds: {', '.join(largest)}"
