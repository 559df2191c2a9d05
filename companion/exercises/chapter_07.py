"""Checkers of chapter 7, "Objectives"."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from companion.exercises import exercise, expect, expect_close
from companion.pretraining.contrast import replace_tokens
from companion.pretraining.masking import choose_words, replace_chosen

Answer = Callable[..., Any]
IGNORED = -100
MASK = 4


def random_labels(texts: int, tokens: int, words: int, share: float = 0.3) -> Tensor:
    """True ids at some positions, -100 at the others; the rows have unequal numbers of them."""
    labels = torch.randint(5, words, (texts, tokens))
    labels[torch.rand(texts, tokens) > share] = IGNORED
    labels[0, :3] = torch.tensor([5, 6, 7])  # never none at all
    labels[-1, 2:] = IGNORED
    return labels


def near(one: Any, other: Tensor) -> bool:
    try:
        one = torch.as_tensor(one).float()
    except (TypeError, ValueError, RuntimeError):
        return False
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


def surprises(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, T): -ln p of the label, 0 where there is none."""
    flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


LOSSES: dict[str, Answer] = {
    "you divide by all positions; the mean is over those that have a label": (
        lambda logits, labels: surprises(logits, labels).mean()
    ),
    "this is a sum; the loss is a mean over the positions that have a label": (
        lambda logits, labels: surprises(logits, labels).sum()
    ),
    "your scores are compared with the token one place further on; a masked position is asked "
    "for its own token": lambda logits, labels: F.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    ),
    "you take the mean of each text first; a text with one label then counts as much as a text "
    "with ten": lambda logits, labels: (
        surprises(logits, labels).sum(1) / (labels != IGNORED).sum(1)
    ).nanmean(),
    "positions without a label are asked as well; those with -100 must not count": (
        lambda logits, labels: surprises(logits, labels.clamp(min=0)).mean()
    ),
}


@exercise("7.1", wrong=[*LOSSES.values()])
def masked_loss(answer: Answer) -> str:
    for texts, tokens, words in ((3, 8, 12), (2, 20, 30), (5, 4, 10)):
        logits = 2 * torch.randn(texts, tokens, words)
        labels = random_labels(texts, tokens, words)
        got = answer(logits.clone(), labels.clone())
        for sentence, wrong in LOSSES.items():
            expect(not near(got, wrong(logits, labels)), sentence)
        want = float(F.cross_entropy(logits.flatten(0, 1), labels.flatten()))
        expect_close(got, want, f"the loss of {texts} texts of {tokens} tokens", relative=1e-3)
    logits[:, :, 0] += 1000
    got = answer(logits.clone(), labels.clone())
    want = float(F.cross_entropy(logits.flatten(0, 1), labels.flatten()))
    expect_close(got, want, "the loss with one logit near 1000", relative=1e-3)
    return "the mean surprise over the positions that were asked, and over no others"


def case(texts: int, tokens: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, which are chosen, the draws, and the ordinary ids."""
    ids = torch.randint(5, 205, (texts, tokens))
    chosen = torch.rand(texts, tokens) < 0.4
    return ids, chosen, torch.rand(2, texts, tokens), torch.arange(5, 205)


def reference_hide(ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor) -> Any:
    return replace_chosen(ids, chosen, draws, mask_id=mask_id, ordinary_ids=plain)


def masks_every_chosen(ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Any) -> Any:
    return torch.where(chosen, mask_id, ids), torch.where(chosen, ids, IGNORED)


def uses_one_draw_twice(
    ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor
) -> Any:
    return reference_hide(ids, chosen, draws[[0, 0]], mask_id, plain)


def asks_masks_only(ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor) -> Any:
    seen, labels = reference_hide(ids, chosen, draws, mask_id, plain)
    return seen, torch.where(seen == mask_id, labels, IGNORED)


def asks_everywhere(ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor) -> Any:
    return reference_hide(ids, chosen, draws, mask_id, plain)[0], ids


def labels_what_is_seen(
    ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor
) -> Any:
    seen = reference_hide(ids, chosen, draws, mask_id, plain)[0]
    return seen, torch.where(chosen, seen, IGNORED)


def swaps_the_shares(
    ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor
) -> Any:
    fate, which = draws
    return reference_hide(ids, chosen, torch.stack([(fate - 0.2) % 1, which]), mask_id, plain)


def writes_into_the_input(
    ids: Tensor, chosen: Tensor, draws: Tensor, mask_id: int, plain: Tensor
) -> Any:
    seen, labels = reference_hide(ids, chosen, draws, mask_id, plain)
    return ids.copy_(seen), labels


@exercise(
    "7.2",
    wrong=[
        masks_every_chosen,
        uses_one_draw_twice,
        asks_masks_only,
        asks_everywhere,
        labels_what_is_seen,
        swaps_the_shares,
        writes_into_the_input,
    ],
)
def hide(answer: Answer) -> str:
    for texts, tokens in ((4, 50), (1, 400)):
        ids, chosen, draws, plain = case(texts, tokens)
        given = ids.clone()
        got = answer(given, chosen.clone(), draws.clone(), MASK, plain.clone())
        expect(torch.equal(given, ids), "your function changes the ids it was given; make new ones")
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "your function should return two things, what is read and the labels",
        )
        seen, labels = (x.float() if isinstance(x, Tensor) else x for x in got)
        want, answers = reference_hide(ids, chosen, draws, MASK, plain)
        if isinstance(seen, Tensor) and seen.shape == ids.shape:
            expect(
                near(seen[~chosen], ids[~chosen].float()), "a token that was not chosen has changed"
            )
            alike = near(seen, masks_every_chosen(ids, chosen, draws, MASK, plain)[0].float())
            expect(not alike, "every chosen token became [MASK]; 10% get a stranger, 10% stay")
            alike = near(seen, uses_one_draw_twice(ids, chosen, draws, MASK, plain)[0].float())
            expect(
                not alike,
                "you draw the stranger with the number that decided the fate; as that lies "
                "between 0.8 and 0.9, only a tenth of the vocabulary can ever come: take draws[1]",
            )
        expect_close(seen, want.float(), "what is read")
        if isinstance(labels, Tensor) and labels.shape == ids.shape:
            alike = near(labels, torch.where(seen == MASK, answers, IGNORED).float())
            expect(not alike, "strangers and kept tokens were chosen too, and are asked as well")
            expect(not near(labels, ids.float()), "only chosen positions are asked; else -100")
            alike = near(labels, torch.where(chosen, want, IGNORED).float())
            expect(not alike, "the label is the true token, not the one that stands there now")
        expect_close(labels, answers.float(), "the labels")
    return "80% hidden, 10% strangers, 10% kept, and the true token is asked at all of them"


def asked_everything(masked: Tensor, labels: Tensor, sampled: Tensor, mask: Tensor) -> Any:
    filled, answers = replace_tokens(masked, labels, sampled, mask)
    return filled, torch.where(labels != IGNORED, 1, answers)


def skips_untouched(masked: Tensor, labels: Tensor, sampled: Tensor, mask: Tensor) -> Any:
    filled, answers = replace_tokens(masked, labels, sampled, mask)
    return filled, torch.where(labels != IGNORED, answers, IGNORED)


def asks_padding(masked: Tensor, labels: Tensor, sampled: Tensor, mask: Tensor) -> Any:
    return replace_tokens(masked, labels, sampled, torch.ones_like(mask))


def compares_with_mask(masked: Tensor, labels: Tensor, sampled: Tensor, mask: Tensor) -> Any:
    filled, _ = replace_tokens(masked, labels, sampled, mask)
    return filled, (filled != masked).long().masked_fill(mask == 0, IGNORED)


FAKES: dict[str, Answer] = {
    "where the generator happened to hit the true token nothing was replaced: the answer is 0": (
        asked_everything
    ),
    "the untouched tokens are asked too, and their answer is 0: that is the point of it": (
        skips_untouched
    ),
    "padding is no token, and is not asked: -100": asks_padding,
    "compare with the true tokens, in `labels`; `masked_ids` shows [MASK] or a stranger": (
        compares_with_mask
    ),
}


@exercise("7.3", wrong=[*FAKES.values()])
def corrupt(answer: Answer) -> str:
    for texts, tokens in ((3, 30), (6, 12)):
        ids = torch.randint(5, 9, (texts, tokens))  # few words, so that the generator often hits
        mask = (torch.arange(tokens) < torch.randint(6, tokens, (texts, 1))).long()
        chosen = (torch.rand(texts, tokens) < 0.5) & (mask != 0)
        masked, labels = replace_chosen(
            ids, chosen, torch.rand(2, texts, tokens), mask_id=MASK, ordinary_ids=torch.arange(5, 9)
        )
        sampled = torch.randint(5, 9, (int(chosen.sum()),))
        given = [x.clone() for x in (masked, labels, sampled, mask)]
        got = answer(*given)
        expect(torch.equal(given[0], masked), "your function changes `masked_ids`; make a copy")
        two = isinstance(got, tuple | list) and len(got) == 2
        expect(two, "your function should return two things, the ids and the answers")
        want = replace_tokens(masked, labels, sampled, mask)
        expect_close(got[0], want[0], "the ids that the discriminator reads")
        for sentence, wrong in FAKES.items():
            alike = near(got[1], wrong(masked, labels, sampled, mask)[1].float())
            expect(not alike, sentence)
        expect_close(got[1], want[1], "the answers")
    return "a question at every token, and a lucky generator counts as no forgery"


def chooses_alone(candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    return candidates & (torch.rand(candidates.shape, generator=generator) < rate)


def forgets_special(candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    draws = torch.rand((2, *candidates.shape), generator=generator)
    return choose_words(torch.ones_like(candidates), draws[0] < 0.7, draws[1], rate)


def starts_too_many(candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    starts = chooses_alone(candidates, rate, generator)
    return candidates & (starts | starts.roll(1, 1) | starts.roll(2, 1))


def ignores_the_generator(candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    fixed = torch.Generator().manual_seed(0)
    return forgets_special(candidates, rate, fixed) & candidates


def hides_one_block(candidates: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    texts, tokens = candidates.shape
    first = torch.randint(0, tokens, (texts, 1), generator=generator)
    return candidates & ((torch.arange(tokens) - first) % tokens < rate * tokens)


@exercise(
    "7.4",
    wrong=[chooses_alone, forgets_special, starts_too_many, ignores_the_generator, hides_one_block],
)
def choose_spans(answer: Answer) -> str:
    candidates = torch.ones(200, 120, dtype=torch.bool)
    candidates[:, 0] = candidates[:, 59:61] = candidates[:, 119] = False  # [CLS], [SEP] [CLS], ...
    for rate in (0.15, 0.3):
        found = [
            answer(candidates.clone(), rate, torch.Generator().manual_seed(seed))
            for seed in (1, 2, 1)
        ]
        for choice in found:
            expect(
                isinstance(choice, Tensor) and choice.dtype == torch.bool,
                "your function should return a tensor of truth values, dtype bool",
            )
            want = f"the choice should have the shape {tuple(candidates.shape)}"
            expect(choice.shape == candidates.shape, want)
        one, two, again = found
        expect(not (one & ~candidates).any(), "you choose special tokens, or words of no text")
        expect(not torch.equal(one, two), "another generator should give another choice")
        expect(torch.equal(one, again), "all chance should come from `generator`")
        share = float(torch.stack([one, two])[:, candidates].float().mean())
        expect(
            abs(share - rate) < 0.02,
            f"at a rate of {rate} you choose {share:.1%} of the candidates; a token's chance of "
            "being in a span is not the chance of a beginning: spans are long, and may overlap",
        )
        parts = torch.stack([one, two])[:, :, 1:59].float().mean((0, 1))  # (58,)
        ends = min(float(parts[:5].mean()), float(parts[-5:].mean()))
        expect(ends > rate / 2, "tokens at the ends of a text are chosen far less than others")
        begins = one & ~F.pad(one, (1, 0))[:, :-1]
        length = float(one.sum() / begins.sum())
        expect(
            length > 1.3 / (1 - rate),
            f"the chosen tokens stand in runs of {length:.2f} on average, as if each were chosen "
            "alone; a span hides neighbours together",
        )
        expect(length < 10, f"runs of {length:.0f} tokens: too little is left near to guess from")
    return "neighbours are hidden together, and each token has the chance it was promised"
