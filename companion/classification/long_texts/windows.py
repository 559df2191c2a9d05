"""A long text as windows that a model can read, one after the other (chapter 14).

Every token stands in at least one window. Neighbours share `stride` tokens or more, so that a
phrase which one window cuts in two stands whole in the next.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from companion.classification.long_texts.truncation import add_special
from companion.data.batches import Batch, LengthBatches
from companion.errors import SettingsError


def window_starts(length: int, size: int, stride: int) -> list[int]:
    """Where the windows of a text of `length` tokens begin.

    Args:
        length: tokens of the text, 0 or more.
        size: tokens of a window.
        stride: tokens that neighbours share, as Hugging Face's tokenizers call it; the last
            window moves back to be full, so it may share more.

    Raises:
        SettingsError: no room, or an overlap that would never get ahead.
    """
    if size < 1 or not 0 <= stride < size:
        raise SettingsError(
            f"Windows of {size} tokens cannot share {stride}: a window holds 1 token or more, and "
            "shares fewer than it holds (stride counts the tokens that neighbours share)."
        )
    if length <= size:
        return [0]
    starts = range(0, length - size, size - stride)
    return [*starts, length - size]


def split_windows(ids: np.ndarray, size: int, stride: int) -> list[np.ndarray]:
    """The windows of one text's ids, (length,) -> arrays of at most `size`; see `window_starts`."""
    return [ids[start : start + size] for start in window_starts(len(ids), size, stride)]


def spread(count: int, most: int | None) -> list[int]:
    """At most `most` of `count` places, evenly from the first to the last."""
    if most is None or count <= most:
        return list(range(count))
    return np.linspace(0, count - 1, most).round().astype(int).tolist()


class Cutter:
    """How one model's texts become windows.

    Args:
        max_length: tokens of a window, special ones included.
        stride: tokens that neighbours share.
        special: ids before and after each window (see `truncation.special_ids`).
        max_windows: of a text with more, so many are read, evenly spread; None reads all.
    """

    def __init__(
        self,
        max_length: int,
        stride: int,
        special: tuple[list[int], list[int]],
        max_windows: int | None = None,
    ) -> None:
        self.before, self.after = special
        self.size = max_length - len(self.before) - len(self.after)
        self.stride, self.max_windows = stride, max_windows
        window_starts(0, self.size, stride)  # refuses impossible sizes now, not in training
        if max_windows is not None and max_windows < 1:
            raise SettingsError(f"max_windows is {max_windows}; it must be 1 or more.")

    def windows(self, ids: np.ndarray) -> list[np.ndarray]:
        """The windows of one text, special tokens included, int32."""
        pieces = split_windows(ids, self.size, self.stride)
        kept = spread(len(pieces), self.max_windows)
        return [add_special(pieces[k], self.before, self.after) for k in kept]


class WindowBatches(LengthBatches):
    """Batches of texts, each text a stack of windows: what `HierarchicalModel` reads.

    The plan of an epoch is that of `LengthBatches`; texts of similar length meet in the pieces
    of a batch, so few places of the (B, K, T) block are padding.

    Args:
        input_ids: ids of whole texts, without special tokens.
        labels: one class index per text, or None.
        cutter: makes the windows.
        options: batch_size, pad_token_id, shuffle, seed; see `LengthBatches`.
    """

    def __init__(
        self,
        input_ids: Sequence[np.ndarray],
        labels: Sequence[int] | None = None,
        *,
        cutter: Cutter,
        **options: Any,
    ) -> None:
        super().__init__(input_ids, labels, **options)
        self.cutter = cutter

    def collate(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """The given texts as windows.

        Returns:
            `input_ids` and `attention_mask`, int64 of shape (B, K, T): K windows for the text
            that has most, T tokens for the longest window; `labels` (B,) when there are any.
            A window that a text does not have is all padding.
        """
        texts = [self.cutter.windows(np.asarray(self.input_ids[row])) for row in rows]
        K = max(len(windows) for windows in texts)  # noqa: N806
        T = max(len(window) for windows in texts for window in windows)  # noqa: N806
        input_ids = np.full((len(texts), K, T), self.pad_token_id, dtype=np.int64)  # (B, K, T)
        attention_mask = np.zeros((len(texts), K, T), dtype=np.int64)  # (B, K, T)
        for i, windows in enumerate(texts):
            for k, window in enumerate(windows):
                input_ids[i, k, : len(window)] = window
                attention_mask[i, k, : len(window)] = 1
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(attention_mask),
        }
        if self.labels is not None:
            batch["labels"] = torch.tensor([self.labels[row] for row in rows])
        return batch
