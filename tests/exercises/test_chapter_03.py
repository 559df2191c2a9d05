"""Exercises of chapter 3: right answers unlike the book's own are found right as well."""

import torch
import torch.nn.functional as F  # noqa: N812

from tests.exercises.answers import found_right, told_what_is_missing


def looks_up_with_pytorch(query, keys, values):
    return F.scaled_dot_product_attention(query[None, None], keys[None], values[None])[0, 0]


def says_it_for_each_pair(lengths, causal=False):
    longest = max(lengths.tolist())
    return torch.tensor(
        [
            [[j < n and (j <= i or not causal) for j in range(longest)] for i in range(longest)]
            for n in lengths.tolist()
        ]
    )


def leaves_the_rows_of_padding_empty(lengths, causal=False):
    mask = says_it_for_each_pair(lengths, causal)
    return (mask & (torch.arange(mask.shape[1]) < lengths[:, None])[..., None]).int()


def needs_no_padding_mask_when_causal(lengths, causal=False):
    mask = says_it_for_each_pair(lengths)
    return torch.ones_like(mask).tril() if causal else mask


def builds_every_jacobian(x, w_q, w_k, w_v, grad):
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    root = q.shape[1] ** 0.5
    p = (q @ k.T / root).softmax(-1)
    jacobians = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    d_scores = (jacobians @ (grad @ v.T)[..., None])[..., 0] / root
    d_q, d_k, d_v = d_scores @ k, d_scores.T @ q, p.T @ grad
    return [d_q @ w_q.T + d_k @ w_k.T + d_v @ w_v.T, x.T @ d_q, x.T @ d_k, x.T @ d_v]


def combines_the_blocks_at_the_end(query, blocks):
    tops, contexts = [], []
    for keys, values in blocks:
        scores = keys @ query / len(query) ** 0.5
        tops.append(scores.logsumexp(0))
        contexts.append(scores.softmax(0) @ values)
    return torch.stack(tops).softmax(0) @ torch.stack(contexts)


def shares_of_sigmoids(query, key, value):
    scores = (2 * query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).sigmoid()
    weights = scores / scores.sum(-1, keepdim=True)
    return weights @ value, weights


test_another_right_answer_is_found_right = found_right(
    [
        ("3.1", looks_up_with_pytorch),
        ("3.2", says_it_for_each_pair),
        ("3.2", leaves_the_rows_of_padding_empty),
        ("3.2", needs_no_padding_mask_when_causal),
        ("3.3", builds_every_jacobian),
        ("3.4", combines_the_blocks_at_the_end),
        ("3.5", shares_of_sigmoids),
    ]
)


def hides_by_minus_infinity(lengths, causal=False):
    mask = says_it_for_each_pair(lengths, causal)
    return torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))


def begins_the_largest_with_zero(query, blocks):
    largest, total, weighted = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for keys, values in blocks:
        scores = keys @ query / len(query) ** 0.5
        top = torch.maximum(largest, scores.max())
        e, shrink = (scores - top).exp(), (largest - top).exp()
        largest, total, weighted = top, shrink * total + e.sum(), shrink * weighted + e @ values
    return weighted / total


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("3.1", lambda query, keys, values: (keys @ query).softmax(0), "should"),
        ("3.2", hides_by_minus_infinity, "say True and False"),
        ("3.2", lambda lengths, causal: says_it_for_each_pair(lengths)[:, :1], "one row a query"),
        ("3.3", lambda x, w_q, w_k, w_v, grad: grad, "return four things"),
        ("3.4", lambda query, blocks: next(blocks)[1].mean(0), "the context should be"),
        ("3.4", begins_the_largest_with_zero, "begin with minus infinity"),
        ("3.5", lambda query, key, value: value, "return two things"),
    ]
)
