"""The one training loop of this package, for pretraining and fine-tuning alike (chapter 10).

It rests on Accelerate: a CPU, one GPU and many GPUs (`accelerate launch`) run the same code.
The randomness of every update is seeded from (seed, step, process). A run that was killed
therefore has no random state to restore, and goes on exactly as if nothing had happened.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from companion.errors import SettingsError, TrainingError
from companion.training.averaging import SPAN, AveragedWeights, decay_of_span
from companion.training.best import BestWeights
from companion.training.checkpoints import CheckpointStore, refuse_other_run
from companion.training.feeding import BatchSource, Feed
from companion.training.history import History
from companion.training.optimizer import (
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    scheduled_rate,
    set_learning_rate,
)
from companion.training.progress import ProgressBar
from companion.training.settings import TrainSettings, choose_precision

Metrics = Mapping[str, float]
Watch = Callable[[int, History], None]  # the number of an update, and what was recorded so far
LOG_EVERY = 10  # updates between reads of the loss: each read waits for the device


def train(
    model: nn.Module,
    batches: BatchSource,
    settings: TrainSettings,
    *,
    evaluate: Callable[[nn.Module], Metrics] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place and leave it with its best weights, in eval mode.

    Args:
        model: any module whose output has `.loss` when it is called with a batch of `batches`
            (with labels): the book's own BERT and every Hugging Face encoder.
        batches: the training data; an epoch is `len(batches)` updates.
        settings: see `TrainSettings`.
        evaluate: called with the model in eval mode at the end of each epoch (or every
            `eval_steps`); returns numbers by name. The weights with the best
            `settings.best_metric` are kept; without an evaluation, the last ones. With
            `settings.average_weights` it is their average that is evaluated and kept.
        out: folder for the checkpoints; without it nothing is written.
        resume: go on from the newest checkpoint in `out`, if there is one.
        identity: facts on data and model, stored with the checkpoint. A resumed run with
            other facts or settings is refused.
        watch: called after each update with its number and the history; an exception of it
            ends the training and passes through.
        progress: show a progress bar with loss, rate and time left.

    Raises:
        SettingsError: the resumed run differs from the one that was stopped.
        CheckpointError: a checkpoint cannot be read, or the disk refuses to take one.
        TrainingError: the loss is no longer a number.
    """
    run = _Run(model, batches, settings, evaluate, out, dict(identity or {}))
    if resume:
        run.restore()
    shown = progress and run.accelerator.is_local_main_process
    with ProgressBar(run.total_steps, run.step, len(batches), shown=shown) as bar:
        while run.step < run.total_steps and not run.best.stopped:
            run.update()
            run.evaluate_if_due()
            run.save_if_due()
            bar.show(run.step, run.history, settings.best_metric)
            if watch is not None:
                watch(run.step, run.history)
    return run.finish()


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        settings: TrainSettings,
        evaluate: Callable[[nn.Module], Metrics] | None,
        out: str | Path | None,
        identity: dict[str, Any],
    ) -> None:
        # Accelerate keeps its state for the whole process; runs may differ in precision.
        AcceleratorState._reset_state()
        device = Accelerator().device
        AcceleratorState._reset_state()
        self.precision = choose_precision(settings.precision, device)
        self.accelerator = Accelerator(
            mixed_precision="no" if self.precision == "fp32" else self.precision
        )
        self.settings, self.batches, self.evaluate = settings, batches, evaluate
        optimizer = make_optimizer(
            model, settings.learning_rate, settings.weight_decay, settings.layer_decay
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.plain_model = self.accelerator.unwrap_model(self.model)
        self.identity = {**settings.identity(), **identity}
        self.store = CheckpointStore(Path(out) / "checkpoints") if out else None

        self.total_steps = settings.epochs * len(batches)
        if settings.max_steps is not None:
            self.total_steps = min(self.total_steps, settings.max_steps)
        if self.total_steps == 0:
            raise SettingsError("There is no batch to train on: the training data is empty.")
        self.eval_steps = settings.eval_steps or len(batches)
        self.feed = Feed(batches, settings.gradient_accumulation_steps)
        self.average: AveragedWeights | None = None
        if (decay := settings.average_weights) is not None:
            decay = decay_of_span(SPAN * self.total_steps) if decay == "auto" else float(decay)
            self.average = AveragedWeights(self.plain_model, decay)

        self.history = History()
        self.step = 0
        self.seconds = 0.0  # of training and evaluation, over all parts of a resumed run
        self.best = BestWeights(settings.best_metric, settings.early_stopping_patience)
        self.saved_step, self.saved_at = 0, time.monotonic()
        self.pending: list[tuple[dict[str, Any], torch.Tensor, torch.Tensor]] = []
        self.model.train()

    def update(self) -> None:
        """Forward, backward, clip, step: the loop that chapter 10 builds line by line."""
        began = time.monotonic()
        rows = self.feed.rows_of(self.step)
        rate = scheduled_rate(self.step, self.total_steps, self.settings)
        set_learning_rate(self.optimizer, rate)
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        torch.manual_seed(_mix(self.settings.seed, self.step, rank))

        pieces, counts = self.feed.pieces(rows, rank, processes)
        # Each piece weighs as many labels as it holds, so that cutting a batch into pieces,
        # or spreading it over devices, does not change its gradient.
        total = float(self.accelerator.reduce(torch.tensor(float(sum(counts))).to(self.device)))
        losses, tokens = [], 0
        for i, (batch, count) in enumerate(zip(pieces, counts, strict=True)):
            tokens += int((batch["attention_mask"] != 0).sum()) if "attention_mask" in batch else 0
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            last = i == len(pieces) - 1
            with self.accelerator.no_sync(self.model) if not last else nullcontext():
                # Gradients are averaged over processes: `processes` turns that into a sum.
                loss = self.model(**batch).loss * (count / total * processes)
                self.accelerator.backward(loss)
            losses.append(loss.detach())
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.settings.max_grad_norm
        )
        self.optimizer.step()
        self.optimizer.zero_grad()

        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        self.seconds += time.monotonic() - began
        record = {
            "step": self.step,
            "epoch": round(self.step / len(self.batches), 4),
            "learning_rate": rate,
            "tokens": tokens,
            "seconds": round(self.seconds, 3),
        }
        mean_loss = self.accelerator.reduce(torch.stack(losses).sum(), reduction="mean")
        self.pending.append((record, mean_loss, torch.as_tensor(norm)))
        if len(self.pending) >= LOG_EVERY or self.step == self.total_steps:
            self.read_losses()

    def read_losses(self) -> None:
        """Move what the device has computed since the last read into the history."""
        if not self.pending:
            return
        values = torch.stack([loss.float() for _, loss, _ in self.pending]).tolist()
        norms = torch.stack([norm.float().cpu() for _, _, norm in self.pending]).tolist()
        for (record, _, _), loss, norm in zip(self.pending, values, norms, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The loss is {loss} at step {record['step']}. Lower learning_rate "
                    f"(now {self.settings.learning_rate}) or set precision to fp32 "
                    f"(now {self.precision})."
                )
            self.history.add("train", **record, loss=loss, grad_norm=norm)
        self.pending = []

    def evaluate_if_due(self) -> None:
        due = self.step % self.eval_steps == 0 or self.step == self.total_steps
        if self.evaluate is None or not due:
            return
        self.read_losses()
        began = time.monotonic()
        self.model.eval()
        with self.average.in_place() if self.average is not None else nullcontext():
            with torch.inference_mode():
                metrics = dict(self.evaluate(self.model))
            self.seconds += time.monotonic() - began
            self.best.offer(metrics, self.plain_model)
        self.model.train()
        epoch = round(self.step / len(self.batches), 4)
        self.history.add(
            "eval", step=self.step, epoch=epoch, seconds=round(self.seconds, 3), **metrics
        )

    def save_if_due(self) -> None:
        if self.store is None or self.step == self.saved_step:
            return
        every = self.settings.save_steps or self.eval_steps
        overdue = time.monotonic() - self.saved_at > 60 * self.settings.save_minutes
        if self.step % every and not overdue and self.step < self.total_steps:
            return
        self.read_losses()
        if self.accelerator.is_main_process:
            self.store.save(self.step, self.tensors(), self.state())
        self.accelerator.wait_for_everyone()
        self.saved_step, self.saved_at = self.step, time.monotonic()

    def tensors(self) -> dict[str, Mapping[str, torch.Tensor]]:
        tensors: dict[str, Mapping[str, torch.Tensor]] = {
            "model": self.plain_model.state_dict(),
            "optimizer": optimizer_tensors(self.plain_model, self.optimizer),
        }
        if self.average is not None:
            tensors["average"] = self.average.averages
        return {**tensors, "best": self.best.weights} if self.best.weights else tensors

    def state(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "identity": self.identity,
            "records": self.history.records,
            "seconds": self.seconds,
            "best": self.best.state(),
            "scaler": scaler.state_dict() if scaler is not None else None,
        }

    def restore(self) -> None:
        """Go on from the newest whole checkpoint; do nothing when there is none."""
        if self.store is None or (found := self.store.load_newest()) is None:
            return
        self.step, tensors, state = found
        refuse_other_run(self.store.folder, state["identity"], self.identity)
        self.plain_model.load_state_dict(tensors["model"])
        load_optimizer_tensors(self.plain_model, self.optimizer, tensors["optimizer"])
        if self.average is not None:
            self.average.restore(tensors["average"])
        self.best.restore(state["best"], tensors.get("best", {}))
        self.history, self.seconds = History(state["records"]), state["seconds"]
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.saved_step = self.step

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def finish(self) -> History:
        self.read_losses()
        if self.best.weights:
            self.plain_model.load_state_dict(self.best.weights)
        elif self.average is not None:
            self.average.swap()
        # Without this the model would go on casting its outputs as in training.
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        # Accelerate would pass a model that it knows by: the next run has a precision of its own.
        vars(self.plain_model).pop("_is_accelerate_prepared", None)
        self.plain_model.zero_grad(set_to_none=True)
        self.plain_model.eval()
        return self.history


def _mix(seed: int, step: int, rank: int) -> int:
    """One seed from three numbers, such that neighbours are unrelated."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)
