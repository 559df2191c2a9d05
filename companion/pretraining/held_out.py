"""The loss and the accuracy on held-out rows, one number a source, always with the same masks.

The masks depend on the row alone: not on the run's seed, its epoch or its way of masking. So the
numbers of two runs on one corpus can be compared, and a curve falls because the model got better
and not because the questions got easier. Only [MASK] is asked: the chosen tokens that stand there
as they are could be copied, and a model that learns to copy would seem to learn the language.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import nn

from companion.pretraining.batches import Batch, Masker, Masking, Rows
from companion.pretraining.masking import IGNORED
from companion.text import WordPieceTokenizer

MASK_SEED = 0
ROWS_AT_ONCE = 32


class HeldOut:
    """Masked batches of held-out rows; call it with a model to score it.

    Args:
        splits: packed rows by the name of their source; one without rows is left out.
        tokenizer: the one that made them.
        rows: at most so many of each source, spread evenly over it.
        groups: sources that are also scored together, by the name of the group.
    """

    def __init__(
        self,
        splits: Mapping[str, Rows],
        tokenizer: WordPieceTokenizer,
        rows: int = 256,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.groups = dict(groups or {})
        masker = Masker(tokenizer, Masking(), MASK_SEED)
        self.batches = {}
        for source, split in splits.items():
            numbers = np.unique(np.linspace(0, len(split) - 1, min(rows, len(split))).astype(int))
            parts = [numbers[i : i + ROWS_AT_ONCE] for i in range(0, len(numbers), ROWS_AT_ONCE)]
            if parts:
                self.batches[source] = [
                    _hidden_only(masker.batch(*split.rows(p), 0, p), masker.mask_id) for p in parts
                ]

    def __bool__(self) -> bool:
        return bool(self.batches)

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Score a model for masked words; processes share the work and all get the result.

        Returns `dev_loss` (mean over all hidden tokens, in nats) and `dev_accuracy` (share of
        them whose highest score is the true token); where there are several sources, both also
        for each group and each source that is not the only one of its group: `dev_loss_zh`.
        """
        if not self.batches:
            return {}
        state = PartialState()
        model = getattr(model, "module", model)  # scoring needs no talk between processes
        sums = []
        for batches in self.batches.values():
            total = torch.zeros(3, dtype=torch.float64)  # loss, right answers, masked tokens
            for batch in batches[state.process_index :: state.num_processes]:
                batch = {name: tensor.to(state.device) for name, tensor in batch.items()}
                truth = batch["labels"][batch["labels"] != IGNORED]  # (M,)
                output = model(**batch)
                right = (output.logits.argmax(-1) == truth).sum()
                count = len(truth)
                total += torch.tensor([float(output.loss) * count, float(right), count])
            sums.append(total)
        # float32, for not every device has more; these sums are small enough.
        scores = reduce(torch.stack(sums).float().to(state.device), "sum").cpu()  # (sources, 3)
        by_name = dict(zip(self.batches, scores, strict=True))
        result = _means(scores.sum(0), "")
        for name, members in self.groups.items():
            present = [by_name[source] for source in members if source in by_name]
            if present and len(by_name) > 1:
                result |= _means(torch.stack(present).sum(0), f"_{name}")
        for name, score in by_name.items():
            if len(by_name) > 1 and [name] not in self.groups.values():
                result |= _means(score, f"_{name}")
        return result


def _hidden_only(batch: Batch, mask_id: int) -> Batch:
    labels = batch["labels"].masked_fill(batch["input_ids"] != mask_id, IGNORED)
    return batch | {"labels": labels}


def _means(sums: torch.Tensor, suffix: str) -> dict[str, float]:
    loss, right, count = sums.tolist()
    count = max(count, 1.0)
    return {f"dev_loss{suffix}": loss / count, f"dev_accuracy{suffix}": right / count}
