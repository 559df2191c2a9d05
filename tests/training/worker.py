"""A small training run that a test can kill."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

from companion.data.batches import LengthBatches
from companion.training import TrainSettings, checkpoints, train

SETTINGS = TrainSettings(
    epochs=4, batch_size=8, learning_rate=1e-3, save_steps=3, eval_steps=10, precision="fp32"
)


def make_model(seed: int = 0, dropout: float = 0.1) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=32,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        )
    )  # fmt: skip


def make_batches(rows: int = 120, batch_size: int = 8) -> LengthBatches:
    """Sequences whose class is whether token 7 occurs: learnable, not trivial."""
    generator = torch.Generator().manual_seed(3)
    ids, labels = [], []
    for i in range(rows):
        length = int(torch.randint(4, 30, (1,), generator=generator))
        row = torch.randint(8, 50, (length,), generator=generator).tolist()
        if i % 2:
            row[length // 2] = 7
        ids.append([2, *row, 3][:32])
        labels.append(i % 2)
    return LengthBatches(ids, labels, batch_size=batch_size, pad_token_id=0)


def loss_on(model: torch.nn.Module) -> dict[str, float]:
    batches = make_batches(batch_size=40)
    with torch.no_grad():
        losses = [float(model(**batch).loss) for batch in batches.epoch(0)]
    return {"dev_loss": sum(losses) / len(losses), "dev_accuracy": -sum(losses)}


class CountedBatches(LengthBatches):
    """Tells another process how many updates have begun."""

    counter: Synchronized

    def collate(self, rows):
        self.counter.value += 1
        return super().collate(rows)


def run(
    out: Path,
    resume: bool,
    die_at_flush: int | None = None,
    counter: Synchronized | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Train; optionally die without warning inside the given write to disk.

    `options` are settings other than those of SETTINGS.
    """
    torch.set_num_threads(1)
    if die_at_flush is not None:
        flushes = 0
        real_flush = checkpoints._flush

        def flush_or_die(descriptor: int) -> None:
            nonlocal flushes
            flushes += 1
            if flushes == die_at_flush:
                os.kill(os.getpid(), signal.SIGKILL)
            real_flush(descriptor)

        checkpoints._flush = flush_or_die
    model, batches = make_model(), make_batches()
    if counter is not None:
        batches.__class__ = CountedBatches
        batches.counter = counter
    settings = replace(SETTINGS, **(options or {}))
    train(model, batches, settings, evaluate=loss_on, out=out, resume=resume, progress=False)
    save_file(model.state_dict(), out / "final.safetensors")
