"""Masked language modelling: which tokens are asked for, and what stands in their place.

Taught in chapter 7. Devlin et al. 2019, section 3.1, task 1, and appendix A.1. The functions get
their random numbers as an argument, so they are functions in the mathematical sense, and a
reader can put in numbers by hand; `companion.pretraining.draws` makes them.
"""

import torch
from torch import Tensor

from companion.errors import SettingsError

IGNORED = -100  # the label of a position that nothing is asked at
MASK_RATE = 0.15
MASKED, RANDOM = 0.8, 0.1  # of the chosen; the rest keeps its token


def choose_positions(candidates: Tensor, draws: Tensor, rate: float = MASK_RATE) -> Tensor:
    """Choose each candidate with probability `rate`, independently of the others.

    Args:
        candidates: (B, T), bool; tokens that may be asked for, so no special ones.
        draws: (B, T), uniform on [0, 1).
        rate: 0.15 in section 3.1.

    Returns (B, T), bool. (BERT's own program takes exactly 15% of each row, rounded; a row with
    a chance of its own is simpler, and gives 15% on average.)
    """
    _check_rate(rate)
    return candidates & (draws < rate)


def choose_words(
    candidates: Tensor, continues: Tensor, draws: Tensor, rate: float = MASK_RATE
) -> Tensor:
    """Whole-word masking: a word is chosen with probability `rate`, and then all its tokens.

    Args:
        candidates: (B, T), bool, as in `choose_positions`.
        continues: (B, T), bool; the token belongs to the word of the token before it.
        draws: (B, T), uniform on [0, 1); that at a word's first token decides.

    Returns (B, T), bool. A token's chance is `rate`, as without whole words. Source: README of
    google-research/bert, 31 May 2019; for Chinese, Cui et al. 2021 (arXiv 1906.08101), on BERT-wwm.
    """
    _check_rate(rate)
    before = torch.zeros_like(candidates)
    before[:, 1:] = candidates[:, :-1]
    starts = candidates & ~(continues & before)  # (B, T); no word reaches across a special token
    places = torch.arange(candidates.size(1), device=candidates.device)
    first = torch.where(starts, places, 0).cummax(dim=1).values  # (B, T): where its word begins
    return candidates & (draws.gather(1, first) < rate)


def replace_chosen(
    input_ids: Tensor,
    chosen: Tensor,
    draws: Tensor,
    *,
    mask_id: int,
    ordinary_ids: Tensor,
    masked: float = MASKED,
    random: float = RANDOM,
) -> tuple[Tensor, Tensor]:
    """Hide the chosen tokens: 80% become [MASK], 10% a random token, 10% stay (section 3.1).

    Args:
        input_ids: (B, T), int64.
        chosen: (B, T), bool.
        draws: (2, B, T), uniform on [0, 1): what happens to the token, and which random one.
        mask_id: of [MASK].
        ordinary_ids: (K,), int64; what a random token is drawn from: all but the special ones.
        masked, random: shares of the chosen.

    Returns the ids that the model reads, and the labels: the true id where one was chosen, else
    -100; both (B, T), int64. The input is not changed.
    """
    if masked < 0 or random < 0 or masked + random > 1 + 1e-9:
        raise SettingsError(
            f"The shares masked {masked} and random {random} must be 0 or more, and no more than "
            "1 together; what is left keeps its token."
        )
    fate, which = draws
    strangers = ordinary_ids[(which * len(ordinary_ids)).long()]  # (B, T)
    seen = torch.where(chosen & (fate < masked), mask_id, input_ids)
    seen = torch.where(chosen & (fate >= masked) & (fate < masked + random), strangers, seen)
    return seen, torch.where(chosen, input_ids, IGNORED)


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise SettingsError(
            f"The mask rate is {rate}; it is a share of the tokens, between 0 and 1 (BERT: 0.15)."
        )
