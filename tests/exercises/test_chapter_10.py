"""Exercises of chapter 10: right answers unlike the book's own are found right as well."""

import torch
import torch.nn.functional as F  # noqa: N812

from companion.exercises import check
from tests.exercises.answers import found_right, told_what_is_missing


def subtracts_the_largest_logit(logits, labels):
    e = (logits - logits.max(-1, keepdim=True).values).exp()
    p = e / e.sum(-1, keepdim=True)
    gradient = p.clone()
    gradient[range(len(labels)), labels] -= 1
    return F.cross_entropy(logits, labels).item(), gradient / len(labels)


def clips_with_pytorch(gradients, max_norm):
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return tuple(parameter.grad for parameter in parameters)


def takes_all_logits_first(model, batches):
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(**batch).logits for batch in batches])
    model.train(was_training)
    return F.cross_entropy(logits, torch.cat([batch["labels"] for batch in batches]))


def cuts_neighbouring_rows(model, batch, pieces):
    texts = len(batch["labels"])
    for rows in torch.arange(texts).tensor_split(pieces):
        piece = {name: tensor[rows] for name, tensor in batch.items()}
        (model(**piece).loss * (len(rows) / texts)).backward()


def falls_as_the_root(step, total):
    warmup = 0.2 * total
    return min((step + 1) / warmup, (warmup / (step + 1)) ** 1.5)


test_another_right_answer_is_found_right = found_right(
    [
        ("10.1", subtracts_the_largest_logit),
        ("10.2", clips_with_pytorch),
        ("10.3", takes_all_logits_first),
        ("10.4", cuts_neighbouring_rows),
        ("10.5", falls_as_the_root),
    ]
)


test_an_unfinished_answer_is_told_what_is_missing = told_what_is_missing(
    [
        ("10.1", lambda logits, labels: F.cross_entropy(logits, labels), "return two things"),
        ("10.2", lambda gradients, max_norm: gradients[:1], "of the same shapes"),
        ("10.3", lambda model, batches: 0.0, "the mean loss over the 19 texts should be"),
        ("10.4", lambda model, batch, pieces: model.eval(), "there is no gradient"),
        ("10.5", lambda step, total: min(1.0, 10 * (step + 1) / total), "come down"),
    ]
)


def test_clipping_that_divides_by_a_norm_of_zero_is_not_right_yet():
    def divides(gradients, max_norm):
        norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
        return [g * min(1.0, max_norm / norm) for g in gradients]

    verdict = check("10.2", divides)
    assert not verdict.ok and "ZeroDivisionError" in verdict.message
