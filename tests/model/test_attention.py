"""Laws of attention and of multi-head attention."""

import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.model import BertConfig, scaled_dot_product_attention
from companion.model.attention import (
    MultiHeadAttention,
    merge_heads,
    nested_attention,
    packed_attention,
    split_heads,
)
from companion.model.packing import Packing

sizes = st.integers(1, 7)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, sizes, st.booleans(), st.integers(0, 2**31))
def test_attention_equals_pytorchs_fused_function(batch, queries, keys, width, masked, seed):
    torch.manual_seed(seed)
    q = torch.randn(batch, 2, queries, width, requires_grad=True)
    k = torch.randn(batch, 2, keys, width, requires_grad=True)
    v = torch.randn(batch, 2, keys, width + 1, requires_grad=True)
    mask = None
    if masked:
        mask = torch.rand(batch, 1, queries, keys) < 0.6
        mask[..., 0] = True
    context, weights = scaled_dot_product_attention(q, k, v, mask)
    wanted = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(context, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(batch, 2, queries))
    assert (weights >= 0).all()
    direction = torch.randn_like(wanted)
    mine = torch.autograd.grad(context, (q, k, v), direction)
    theirs = torch.autograd.grad(wanted, (q, k, v), direction)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_three_tokens_by_hand():
    q = torch.tensor([[1.0, 0.0]])
    k = torch.tensor([[0.0, 0.0], [2.0**0.5, 5.0], [0.0, -3.0]])
    v = torch.tensor([[1.0], [2.0], [4.0]])
    context, weights = scaled_dot_product_attention(q, k, v)
    e = torch.e  # the scores are 0, 1, 0
    torch.testing.assert_close(weights, torch.tensor([[1.0, e, 1.0]]) / (e + 2))
    torch.testing.assert_close(context, torch.tensor([[(5 + 2 * e) / (e + 2)]]))


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    q, k, v = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0]]).bool()
    assert torch.autograd.gradcheck(lambda *x: scaled_dot_product_attention(*x, mask), (q, k, v))


def test_a_row_that_may_see_nothing_gives_zeros_and_finite_gradients():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        q, k, v = (torch.randn(2, 3, 4, dtype=dtype, requires_grad=True) for _ in range(3))
        mask = torch.ones(2, 3, 3)
        mask[0, 1] = 0
        mask[1] = 0
        context, weights = scaled_dot_product_attention(q, k, v, mask)
        assert not weights[0, 1].any() and not context[0, 1].any() and not weights[1].any()
        torch.testing.assert_close(weights[0, 0].sum().item(), 1.0, atol=0.01, rtol=0)
        context.sum().backward()
        assert all(x.grad.isfinite().all() for x in (q, k, v))
        assert not q.grad[1].any() and not v.grad[1].any()


def test_huge_scores_do_not_overflow():
    q = torch.full((1, 2, 4), 1e4)
    context, weights = scaled_dot_product_attention(q, q, torch.eye(2)[None])
    torch.testing.assert_close(weights, torch.full((1, 2, 2), 0.5))
    torch.testing.assert_close(context, weights)


def test_dropout_changes_the_context_but_not_the_weights_that_are_shown():
    torch.manual_seed(0)
    q, k, v = (torch.randn(4, 50, 8) for _ in range(3))
    plain, weights = scaled_dot_product_attention(q, k, v)
    dropped, shown = scaled_dot_product_attention(q, k, v, dropout_p=0.5)
    torch.testing.assert_close(shown, weights)
    assert (dropped - plain).abs().max() > 0.05


@given(sizes, sizes, st.integers(1, 4), sizes)
def test_heads_are_a_reshape(batch, tokens, heads, width):
    x = torch.arange(batch * tokens * heads * width).view(batch, tokens, -1)
    split = split_heads(x, heads)
    assert split.shape == (batch, heads, tokens, width)
    assert torch.equal(split[-1, -1, -1], x[-1, -1, -width:])
    assert torch.equal(merge_heads(split), x)


def test_multi_head_attention_equals_pytorchs_layer():
    torch.manual_seed(0)
    ours = MultiHeadAttention(BertConfig(hidden_size=24, num_attention_heads=3)).eval()
    theirs = torch.nn.MultiheadAttention(24, 3, batch_first=True).eval()
    with torch.no_grad():
        projections = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        theirs.out_proj.weight.copy_(torch.eye(24))  # ours has the output projection outside
        theirs.out_proj.bias.zero_()
    x = torch.randn(2, 9, 24)
    real = torch.arange(9) < torch.tensor([[9], [4]])
    context, weights = ours(x, real[:, None, None])
    wanted, wanted_weights = theirs(x, x, x, key_padding_mask=~real, average_attn_weights=False)
    torch.testing.assert_close(context, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights, wanted_weights, atol=1e-5, rtol=1e-5)


def test_the_nested_kernel_and_the_blocks_compute_the_same():
    torch.manual_seed(0)
    mask = torch.arange(30) < torch.tensor([[30], [4], [1], [4], [17]])
    packing = Packing(mask, mask)
    states = [torch.randn(56, 12, requires_grad=True) for _ in range(3)]
    direction = torch.randn(56, 12)
    results = []
    for attention in (packed_attention, nested_attention):
        context = attention(*states, packing, 3, 0.0)
        results.append((context, *torch.autograd.grad(context, states, direction)))
    for blocks, nested in zip(*results, strict=True):
        torch.testing.assert_close(nested, blocks, atol=1e-5, rtol=1e-5)
