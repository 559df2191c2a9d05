"""The book's dropout has the statistics of PyTorch's, and obeys its seed."""

import pytest
import torch

from companion.model import BertConfig, BertModel
from companion.model.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_scale_and_mean_are_those_of_the_definition(p, dtype):
    torch.manual_seed(0)
    n = 400_000
    x = torch.ones(n, dtype=dtype)
    y = dropout(x, p)
    zeros = (y == 0).double().mean().item()
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs(zeros - p) < 4 * deviation + 1 / 2**16
    kept = y[y != 0].float()
    assert kept.unique().numel() == 1
    torch.testing.assert_close(kept[0].item(), 1 / (1 - p), rtol=2**-8, atol=0)


def test_the_coins_are_independent_along_every_axis():
    """Neighbours, and elements that share one 64-bit draw, agree as often as chance says."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(1000, 512), 0.3) != 0).double() - 0.7
    variance = 0.3 * 0.7
    for shift in (1, 2, 3, 4, 5, 512):
        flat = kept.flatten()
        correlation = (flat[shift:] * flat[:-shift]).mean().item() / variance
        assert abs(correlation) < 4 / flat.numel() ** 0.5
    shares = (kept + 0.7).view(-1, 4).mean(0)  # the four quarters of a draw
    assert ((shares - 0.7).abs() < 4 * (variance / 128_000) ** 0.5).all()


def test_the_gradient_passes_where_the_value_passed():
    x = torch.randn(37, 5, requires_grad=True)
    y = dropout(x, 0.4)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_the_seed_decides_and_eval_mode_is_the_identity():
    x = torch.randn(7, 9)
    layer = Dropout(0.5)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first) and not torch.equal(first, second)
    assert torch.equal(layer.eval()(x), x)
    assert dropout(x, 0.0) is x
    assert dropout(torch.empty(0, 4), 0.5).shape == (0, 4)


@pytest.mark.parametrize("fast", [True, False])
def test_the_mean_over_many_draws_nears_the_model_without_dropout(fast):
    """One layer of attention dropout is linear in its coins: its mean is the plain output."""
    torch.manual_seed(0)
    config = BertConfig(30, 8, 1, 2, 16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.3)
    model = BertModel(config)
    model.fast = fast
    ids = torch.randint(0, 30, (1, 6)).expand(4000, 6)
    attention = model.encoder.layer[0].attention.self
    contexts = []
    attention.register_forward_hook(lambda _, x, y: contexts.append(y[0].detach()))
    model.eval()(ids[:1])
    model.train()(ids)
    plain, noisy = (c.view(-1, 6, 8) for c in contexts)
    mean, spread = noisy.mean(0), noisy.std(0) / 4000**0.5
    assert ((mean - plain[0]).abs() < 5 * spread + 1e-4).all()
    assert (noisy.std(0) > 0).all()
