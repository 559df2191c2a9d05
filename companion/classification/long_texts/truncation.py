"""Which tokens of a text a model reads when there is no room for all (chapter 14).

Sun et al. 2019, section 5.3.1: the beginning (`head`), the end (`tail`), or the first quarter of
the room from the beginning and the rest from the end (`head+tail`).
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from companion.errors import SettingsError

LOST = {  # what becomes of texts that are cut
    "head": "their end is not read",
    "tail": "their beginning is not read",
    "head+tail": "their middle is not read",
}
TRUNCATIONS = tuple(LOST)
HEAD_SHARE = 0.25  # Sun et al. keep the first 128 and the last 382 of 510 tokens

Ids = TypeVar("Ids", Sequence[int], np.ndarray)


def truncate(ids: Ids, room: int, strategy: str = "head") -> Ids:
    """At most `room` of the token ids of a text, in their order.

    Args:
        ids: one text, without special tokens: a list or an array.
        room: tokens that may stay, 1 or more.
        strategy: "head", "tail" or "head+tail".

    Raises:
        SettingsError: an unknown strategy, or no room.
    """
    check_truncation(strategy)
    if room < 1:
        raise SettingsError(f"There is room for {room} tokens of a text; it must be 1 or more.")
    if len(ids) <= room:
        return ids
    head: int = {"head": room, "tail": 0, "head+tail": int(HEAD_SHARE * room)}[strategy]
    kept = [*range(head), *range(len(ids) - (room - head), len(ids))]
    if isinstance(ids, np.ndarray):
        return ids[kept]
    return [ids[i] for i in kept]


def check_truncation(strategy: str) -> None:
    """Raise SettingsError unless there is such a strategy."""
    if strategy not in TRUNCATIONS:
        raise SettingsError(
            f"truncation is {strategy!r}. There are: {', '.join(map(repr, TRUNCATIONS))}."
        )


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text: [CLS] and [SEP] for BERT."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if bare and whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    return whole, []


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """All token ids of each text, int32, however long, without special tokens."""
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        truncation=False,
        return_attention_mask=False,
        verbose=False,  # of texts that are longer than the model reads: they will be cut
    )
    return [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]


def encode_cut(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, strategy: str
) -> tuple[list[np.ndarray], int]:
    """Token ids with special tokens, at most `max_length` a text, and how many texts were cut."""
    before, after = special_ids(tokenizer)
    room = max_length - len(before) - len(after)
    whole = token_ids(tokenizer, texts)
    cut = [add_special(truncate(ids, room, strategy), before, after) for ids in whole]
    return cut, sum(len(ids) > room for ids in whole)


def add_special(ids: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    """The ids between the special ones, int32."""
    return np.concatenate([before, ids, after]).astype(np.int32)
