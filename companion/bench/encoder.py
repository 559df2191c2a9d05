"""How fast the book's BERT is beside `transformers.BertModel` with its fused attention (sdpa).

One step is a forward and a backward pass in train mode, with dropout, of one and the same model
from the same weights on the same batches. The sides take turns, step by step, in one process;
the peak of memory is measured in a process of each side's own.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

import companion
from companion.data import load_dataset
from companion.errors import SettingsError
from companion.model import BertConfig, BertModel

TEXTS, FULL_LENGTH, MAX_LENGTH, BATCHES = 32, 128, 256, 3
SIDES = ("transformers", "companion")
Row = dict[str, Any]
Batch = dict[str, Tensor]
RUN_APART = """
import json, sys
from companion.bench.encoder import peak_memory
print(json.dumps(peak_memory(*json.loads(sys.argv[1]))))
"""


def encoder_rows(
    data: str = "chnsenticorp",
    *,
    repeats: int = 5,
    precisions: Iterable[str] = ("float32", "bfloat16"),
) -> list[Row]:
    """One row for each side, kind of batch and precision, for a BERT of 4 layers of 256.

    Args:
        data: what `load_dataset` takes; its training texts give the batches with padding.
        repeats: turns of both sides over every batch.
        precisions: float32, or bfloat16 by autocast.

    Returns:
        Rows with batches ("full": 32 texts of 128 tokens; "mixed": 32 texts of `data` as they
        come, cut at 256 tokens, padded to the longest), precision, side, real tokens a second
        (median over the steps), ratio to transformers (median over the turns, so that what a
        neighbour on a shared machine takes counts for both), the same in processor time (CPU
        only), the share of positions that is padding, and the peak of memory above the loaded
        model in MiB (on Linux; elsewhere NaN without a GPU).
    """
    table = []
    for kind, batches in make_batches(data).items():
        real = sum(int(batch["attention_mask"].sum()) for batch in batches)
        padding = 1 - real / sum(batch["attention_mask"].numel() for batch in batches)
        for precision in precisions:
            wall, processor = step_seconds(batches, precision, repeats)
            for side in SIDES:
                table.append(
                    {
                        "batches": kind,
                        "precision": precision,
                        "side": side,
                        "tokens/s": real / len(batches) / median(wall[side]),
                        "ratio": _ratio(wall, side),
                        "processor ratio": _ratio(processor, side),
                        "padding": padding,
                        "peak MiB": _apart(side, kind, precision, data),
                        "steps": len(wall[side]),
                    }
                )
    return table


def make_batches(data: str) -> dict[str, list[Batch]]:
    """Batches by kind; "mixed" holds random texts of the data set as the shipped vocabulary cuts
    them, on the device that is there."""
    rng = random.Random(0)
    tokenizer = Tokenizer.from_file(str(Path(companion.__file__).parent / "assets/tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    column = load_dataset(data)["train"]["text"][:]
    texts = rng.sample(column, min(len(column), TEXTS * BATCHES))
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    full = [[rng.randrange(5, tokenizer.get_vocab_size()) for _ in range(FULL_LENGTH)]] * TEXTS
    return {
        "full": [_pad(full)] * BATCHES,
        "mixed": [_pad(ids[start : start + TEXTS]) for start in range(0, len(ids), TEXTS)],
    }


def step_seconds(
    batches: list[Batch], precision: str, repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall-clock and processor seconds of every step of each side, after one round unmeasured."""
    models = {side: make_model(side) for side in SIDES}
    wall: dict[str, list[float]] = {side: [] for side in SIDES}
    processor: dict[str, list[float]] = {side: [] for side in SIDES}
    for turn in range(repeats + 1):
        for batch in batches:
            for side, model in models.items():
                began, worked = time.perf_counter(), time.process_time()
                step(model, batch, precision)
                if turn:
                    processor[side].append(time.process_time() - worked)
                    wall[side].append(time.perf_counter() - began)
    return wall, processor


def make_model(side: str) -> nn.Module:
    """The model of one side in train mode; both sides have the same weights and rates."""
    torch.manual_seed(0)
    config = BertConfig.mini(vocab_size=21128)
    ours = BertModel(config)
    if side == "companion":
        return ours.to(_device()).train()
    import transformers

    settings: dict[str, Any] = {**config.to_dict(), "attn_implementation": "sdpa"}
    theirs: nn.Module = transformers.BertModel(transformers.BertConfig(**settings))
    theirs.load_state_dict(ours.state_dict())
    return theirs.to(_device()).train()


def step(model: nn.Module, batch: Batch, precision: str) -> None:
    """Forward and backward, waiting for the device."""
    with torch.autocast(_device(), torch.bfloat16, enabled=precision == "bfloat16"):
        output = model(**batch)
        loss = output.last_hidden_state[:, 0].float().square().mean()
    (loss + output.pooler_output.float().square().mean()).backward()
    model.zero_grad(set_to_none=True)
    if _device() == "cuda":
        torch.cuda.synchronize()


def peak_memory(side: str, kind: str, precision: str, data: str) -> float:
    """MiB that training on all batches takes beyond the loaded model; meant for a new process."""
    model, batches = make_model(side), make_batches(data)[kind]
    loaded = _memory("VmRSS")
    for batch in batches:
        step(model, batch, precision)
    return _memory("VmHWM") - loaded


def _apart(*job: str) -> float:
    command = [sys.executable, "-c", RUN_APART, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"The side {job[0]!r} failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def _memory(kind: str) -> float:
    """MiB of this process, now (VmRSS) or at its peak (VmHWM); on a GPU what the tensors take."""
    if _device() == "cuda":
        now = kind == "VmRSS"
        used = torch.cuda.memory_allocated if now else torch.cuda.max_memory_allocated
        return used() / 2**20
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    # Not resource.getrusage: its peak begins at that of the process that started this one.
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 2**10


def _ratio(seconds: dict[str, list[float]], side: str) -> float:
    pairs = zip(seconds[SIDES[0]], seconds[side], strict=True)
    return median(theirs / own for theirs, own in pairs)


def _pad(ids: list[list[int]]) -> Batch:
    width = max(map(len, ids))
    batch = {
        "input_ids": [row + [0] * (width - len(row)) for row in ids],
        "attention_mask": [[1] * len(row) + [0] * (width - len(row)) for row in ids],
    }
    return {name: torch.tensor(rows, device=_device()) for name, rows in batch.items()}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
