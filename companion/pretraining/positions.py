"""Longer rows for a model that has read shorter ones (chapter 8).

A position that was never trained is worse than none: one token there spoils what the others of
its text mean. The head start begins the position table with sine waves, and what training makes
of them stays close to a linear function of the waves. So that function is fitted to the positions
that were trained, and followed beyond them. Training on longer rows then goes on from there.
"""

import json
from pathlib import Path

import torch

from companion.model import BertForMaskedLM
from companion.pretraining.head_start import waves

FIRST = 8  # positions that are left out of the fit: the beginning of a text is a place of its own
RIDGE = 0.2  # waves of nearly one length cannot be told apart on few positions


def trained_positions(folder: Path) -> int | None:
    """How many positions the tokenizer of a model folder takes; None where it does not say."""
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    limit = said.get("model_max_length") if isinstance(said, dict) else None
    return int(limit) if isinstance(limit, int | float) else None


@torch.no_grad()
def continue_positions(model: BertForMaskedLM, trained: int) -> None:
    """Overwrite the positions from `trained` on by what those before them lead to.

    Ridge regression of the position table, (P, D), on the waves of the head start; the result is
    brought to the mean length of the trained positions.
    """
    table = model.bert.embeddings.position_embeddings.weight  # (P, D)
    if not FIRST < trained < len(table):
        return
    w = waves(len(table), model.config.head_size).double()
    w = torch.cat([w, torch.ones(len(w), 1, dtype=w.dtype)], dim=1)  # (P, H + 1), for the mean
    known, truth = w[FIRST:trained], table[FIRST:trained].double()
    penalty = RIDGE * len(known) * torch.eye(w.size(1), dtype=w.dtype)
    penalty[-1, -1] = 0
    fitted = torch.linalg.solve(known.T @ known + penalty, known.T @ truth)  # (H + 1, D)
    new = w[trained:] @ fitted  # (P - trained, D)
    table[trained:] = (new * truth.norm(dim=1).mean() / new.norm(dim=1).mean()).to(table.dtype)
