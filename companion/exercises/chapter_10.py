"""Checkers of chapter 10, "The training loop, line by line"."""

import math
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from companion.exercises import exercise, expect, expect_close

Answer = Callable[..., Any]
Batch = dict[str, Tensor]


class TinyClassifier(nn.Module):
    """The smallest model with the interface of a Hugging Face classifier: it adds up tokens."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 3)  # token id -> 3 logits
        self.dropout = nn.Dropout(dropout)
        self.calls: list[int] = []  # texts per call

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> SimpleNamespace:
        self.calls.append(len(input_ids))
        vectors = self.dropout(self.table(input_ids)) * attention_mask[..., None]  # (B, T, C)
        logits = vectors.sum(1)  # (B, C)
        return SimpleNamespace(loss=F.cross_entropy(logits, labels), logits=logits)


def random_batch(texts: int) -> Batch:
    """`texts` texts of 1 to 5 random tokens, each in one of 3 classes."""
    lengths = torch.randint(1, 6, (texts, 1))
    return {
        "input_ids": torch.randint(0, 20, (texts, 5)),
        "attention_mask": (torch.arange(5) < lengths).long(),
        "labels": torch.randint(0, 3, (texts,)),
    }


def near(one: Any, other: Any) -> bool:
    one, other = torch.as_tensor(one).float(), torch.as_tensor(other).float()
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


def norm_of(gradients: Iterable[Tensor]) -> float:
    """Length of all tensors together."""
    return math.sqrt(sum(float(g.square().sum()) for g in gradients))


def sums_over_texts(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    truth = F.one_hot(labels, logits.shape[-1])
    return F.cross_entropy(logits, labels, reduction="sum"), logits.softmax(-1) - truth


def forgets_mean_in_gradient(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return F.cross_entropy(logits, labels), sums_over_texts(logits, labels)[1]


def turns_gradient_round(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = forgets_mean_in_gradient(logits, labels)
    return loss, -gradient / len(labels)


def overflows(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    truth = F.one_hot(labels, logits.shape[-1])
    return -(p * truth).sum(-1).log().mean(), (p - truth) / len(labels)


@exercise(
    "10.1",
    wrong=[sums_over_texts, forgets_mean_in_gradient, turns_gradient_round, overflows],
)
def loss_and_gradient(answer: Answer) -> str:
    for texts, classes in ((5, 3), (1, 2), (8, 10)):
        logits = torch.randn(texts, classes, requires_grad=True)
        labels = torch.randint(0, classes, (texts,))
        given = answer(logits.detach().clone(), labels)
        expect(
            isinstance(given, tuple | list) and len(given) == 2,
            "your function should return two things, the loss and the gradient",
        )
        loss = F.cross_entropy(logits, labels)
        (gradient,) = torch.autograd.grad(loss, logits)
        where = f"for {texts} texts and {classes} classes"
        expect(
            texts == 1 or not near(given[0], texts * loss.detach()),
            f"the loss {where} is {texts} times too large: it is a mean over the texts, not a sum",
        )
        expect_close(given[0], loss.item(), f"the loss {where}")
        expect(
            texts == 1 or not near(given[1], texts * gradient),
            f"the gradient {where} is {texts} times too large: in a mean over {texts} texts each "
            f"counts 1/{texts}, in the gradient too",
        )
        expect(
            not near(given[1], -gradient),
            f"the gradient {where} has the wrong sign: for the true class it is p - 1, below zero, "
            "since raising that logit lowers the loss",
        )
        expect_close(given[1], gradient, f"the gradient {where}")
    large = torch.tensor([[1000.0, 0.0], [0.0, -1000.0]])
    given = answer(large, torch.tensor([0, 0]))
    expect(
        all(torch.isfinite(torch.as_tensor(x)).all() for x in given),
        "logits of 1000 give something that is no number: e^1000 is too large for a float, so "
        "subtract the largest logit of a row first, or use logsumexp",
    )
    return "loss and gradient are PyTorch's, and logits of 1000 do no harm"


def clips_each_tensor(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    return [g * min(1.0, max_norm / norm_of([g])) for g in gradients]


def always_scales(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    return [g * (max_norm / norm_of(gradients)) for g in gradients]


def clamps_values(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    return [g.clamp(-max_norm, max_norm) for g in gradients]


def adds_up_norms(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    return [g * min(1.0, max_norm / sum(norm_of([g]) for g in gradients)) for g in gradients]


@exercise("10.2", wrong=[clips_each_tensor, always_scales, clamps_values, adds_up_norms])
def clip(answer: Answer) -> str:
    gradients = [torch.randn(4, 3), 5 * torch.randn(6), torch.randn(2, 2, 2)]
    norm = norm_of(gradients)
    for max_norm in (2 * norm, 0.5 * norm, 1.0):
        got = answer([g.clone() for g in gradients], max_norm)
        expect(
            isinstance(got, Sequence) and [g.shape for g in got] == [g.shape for g in gradients],
            "your function should return a list of gradients of the same shapes",
        )
        where = f"a gradient of norm {norm:.2f} clipped to {max_norm:.2f}"
        pairs = list(zip(got, gradients, strict=True))
        expect(
            max_norm < norm or all(near(a, b) for a, b in pairs),
            f"{where} was changed; one that is shorter than the limit stays as it is",
        )
        factors = [float((a * b).sum() / b.square().sum()) for a, b in pairs]
        expect(
            all(near(a, f * b) for (a, b), f in zip(pairs, factors, strict=True)),
            f"{where} points another way: scale the tensors instead of cutting off their values",
        )
        expect(
            max(factors) - min(factors) < 1e-4,
            f"{where}: its tensors were scaled by {min(factors):.3f} to {max(factors):.3f}; one "
            "factor for all keeps the direction",
        )
        want = min(norm, max_norm)
        expect(
            abs(norm_of(got) - want) < 1e-3 * want,
            f"{where} has the norm {norm_of(got):.3f} and not {want:.3f}: the norm over all "
            "tensors is the root of the sum of all squares",
        )
    [still] = answer([torch.zeros(3)], 1.0)
    expect(near(still, torch.zeros(3)), "a gradient of zero should stay zero: mind its norm, 0")
    return "long gradients are shortened to the limit, and none is turned"


def without_eval(model: nn.Module, batches: Sequence[Batch]) -> float:
    sizes = [len(batch["labels"]) for batch in batches]
    with torch.no_grad():
        losses = [float(model(**batch).loss) for batch in batches]
    return sum(n * loss for n, loss in zip(sizes, losses, strict=True)) / sum(sizes)


def stays_in_eval(model: nn.Module, batches: Sequence[Batch]) -> float:
    return without_eval(model.eval(), batches)


def mean_of_batches(model: nn.Module, batches: Sequence[Batch]) -> float:
    return sum(stays_in_eval(model, [batch]) for batch in batches) / len(batches)


def last_batch(model: nn.Module, batches: Sequence[Batch]) -> float:
    return stays_in_eval(model, batches[-1:])


@exercise("10.3", wrong=[without_eval, stays_in_eval, mean_of_batches, last_batch])
def dev_loss(answer: Answer) -> str:
    model, batches = TinyClassifier(dropout=0.5), [random_batch(texts) for texts in (8, 8, 3)]
    want, mean = stays_in_eval(model, batches), mean_of_batches(model, batches)
    last = last_batch(model, batches)
    got, again = (float(answer(model.train(), batches)) for _ in range(2))
    left_in_eval = not model.training
    expect(
        got == again,
        f"two calls gave {got:.4f} and {again:.4f}: dropout is at work, so call model.eval() first",
    )
    expect(
        not near(got, mean),
        f"{got:.4f} is the mean of the three batches' losses, and {want:.4f} the mean over the "
        "texts: a batch of 3 must not count as much as one of 8",
    )
    expect(
        not near(got, last),
        f"{got:.4f} is the loss of the last batch alone; the mean over all texts is {want:.4f}",
    )
    expect_close(got, want, "the mean loss over the 19 texts")
    expect(
        not left_in_eval,
        "the model came in train mode and was left in eval mode: from then on a training loop "
        "would run without dropout",
    )
    answer(model.eval(), batches)
    expect(not model.training, "a model that came in eval mode was left in train mode")
    return "every text counts the same, dropout is off, and the model is left as it came"


def in_pieces(model: nn.Module, batch: Batch, pieces: int, weight: float) -> None:
    for k in range(pieces):
        piece = {name: tensor[k::pieces] for name, tensor in batch.items()}
        (weight * model(**piece).loss).backward()


def unweighted(model: nn.Module, batch: Batch, pieces: int) -> None:
    in_pieces(model, batch, pieces, 1.0)


def equally_weighted(model: nn.Module, batch: Batch, pieces: int) -> None:
    in_pieces(model, batch, pieces, 1 / pieces)


def all_at_once(model: nn.Module, batch: Batch, pieces: int) -> None:
    model(**batch).loss.backward()


@exercise("10.4", wrong=[unweighted, equally_weighted, all_at_once])
def backward_in_pieces(answer: Answer) -> str:
    for texts, pieces in ((6, 3), (7, 3), (5, 4)):
        model, batch = TinyClassifier(dropout=0.0), random_batch(texts)
        (want,) = torch.autograd.grad(model(**batch).loss, [model.table.weight])
        model.calls.clear()
        answer(model, dict(batch), pieces)
        got, where = model.table.weight.grad, f"{texts} texts in {pieces} pieces"
        largest, share = max(model.calls, default=0), math.ceil(texts / pieces)
        expect(
            largest <= share,
            f"{where}: the model was given {largest} texts at once; {share} at most save memory",
        )
        expect(got is not None, f"{where}: there is no gradient; call backward() on each loss")
        expect(
            not near(got, pieces * want),
            f"{where}: the gradient is {pieces} times too large: the loss of a piece is a mean "
            "already, so weight it by the piece's share of the texts",
        )
        expect(
            near(got, want),
            f"{where}: the gradient is not the whole batch's; weight a piece of n texts by "
            f"n/{texts} (not every piece has the same n) and let the gradients add up",
        )
    return "in pieces of any size the gradient is the whole batch's"


def counts_in_updates(step: int, total: int) -> float:
    return min(1.0, (step + 1) / 500)


def starts_at_the_peak(step: int, total: int) -> float:
    return 1 - step / total


def falls_below_zero(step: int, total: int) -> float:
    return min((step + 1) / (0.1 * total), 1.2 - 2.4 * step / total)


@exercise("10.5", wrong=[counts_in_updates, starts_at_the_peak, falls_below_zero])
def my_schedule(answer: Answer) -> str:
    peaks = []
    for total in (50, 200, 1000):
        run, factors = f"in a run of {total} updates", [answer(s, total) for s in range(total)]
        expect(
            all(0 <= f <= 1 + 1e-9 for f in factors),
            f"{run} the share of the peak rate runs from {min(factors):.3f} to {max(factors):.3f}; "
            "a share lies between 0 and 1",
        )
        expect(
            max(factors) > 0.95,
            f"{run} the rate never gets above {max(factors):.2f} of its peak: count the warm-up in "
            "shares of the run, not in updates",
        )
        expect(
            factors[0] < 0.5,
            f"{run} the first update is made at {factors[0]:.2f} of the peak: warm up, as Adam's "
            "steps are boldest when it knows least",
        )
        expect(
            factors[-1] < 0.2, f"{run} the last rate is {factors[-1]:.2f} of the peak: come down"
        )
        peaks.append(f"{100 * factors.index(max(factors)) / total:.0f}%")
    return f"it warms up, has its peak at {', '.join(peaks)} of the run, and comes down"
