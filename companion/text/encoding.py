"""What a tokenizer returns, and how it is cut and padded to the length a model takes.

Taught in chapter 5. The rules of truncation are those of the ``tokenizers`` library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from companion.errors import SettingsError

Truncation = Literal["longest_first", "only_first", "only_second"]
Padding = Literal["longest", "max_length"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """One text, or a pair of texts, as BERT reads it: five lists with one element a token.

    `ids` are the tokens' numbers in the vocabulary (a model's ``input_ids``) and `tokens` their
    spelling. `type_ids` (``token_type_ids``) are 0 for the first text and its special tokens and
    1 for the second. ``offsets[i] = (start, end)`` says that token i stands for
    ``text[start:end]`` of the original, in characters, of the text its type id names; special
    tokens that no text contains have (0, 0). `attention_mask` is 1, and 0 for padding.
    """

    ids: list[int]
    tokens: list[str]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    attention_mask: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    def padded(self, length: int, pad_id: int, pad_token: str) -> Encoding:
        """The same with padding behind, up to `length` tokens; never shortened."""
        missing = max(0, length - len(self))
        return Encoding(
            self.ids + [pad_id] * missing,
            self.tokens + [pad_token] * missing,
            self.type_ids + [0] * missing,
            self.offsets + [(0, 0)] * missing,
            self.attention_mask + [0] * missing,
        )


def kept_lengths(
    first: int, second: int, room: int, strategy: Truncation = "longest_first"
) -> tuple[int, int]:
    """How many tokens each of two texts keeps when `room` tokens are free for both.

    ``longest_first`` takes from the longer text until both are equally long, then from both, the
    second keeping the odd token (the first, where it was the longer one); ``only_first`` and
    ``only_second`` take from one text. A single text has `second` = 0.

    Raises SettingsError for an unknown strategy, and when one text alone cannot give enough.
    """
    if strategy not in ("longest_first", "only_first", "only_second"):
        raise SettingsError(
            f"There is no truncation strategy {strategy!r}; choose longest_first, only_first or "
            "only_second."
        )
    excess = first + second - room
    if excess <= 0:
        return first, second
    if strategy == "longest_first":
        short = min(first, second)
        if 2 * short <= room:
            rest = room - short
        else:
            short, rest = room // 2, room - room // 2
        return (rest, short) if first > second else (short, rest)
    cut = first if strategy == "only_first" else second
    if excess >= cut:
        which = "first" if strategy == "only_first" else "second"
        raise SettingsError(
            f"The two texts have {first} and {second} tokens and only {room} may stay, but the "
            f"strategy {strategy} can take no more than {max(cut - 1, 0)} from the {which}: use "
            "longest_first or a larger max_length."
        )
    return (first - excess, second) if strategy == "only_first" else (first, second - excess)


def pad_batch(
    encodings: Sequence[Encoding],
    padding: Padding,
    *,
    pad_id: int,
    pad_token: str,
    max_length: int | None = None,
) -> list[Encoding]:
    """Give every encoding of a batch one length.

    ``longest`` pads to the longest of the batch, ``max_length`` to `max_length` tokens.
    Raises SettingsError for another `padding`, and for ``max_length`` without a number.
    """
    if padding == "longest":
        length = max(map(len, encodings), default=0)
    elif padding == "max_length" and max_length is not None:
        length = max_length
    else:
        raise SettingsError(
            f"padding={padding!r} with max_length={max_length} is no rule; choose padding="
            '"longest", or padding="max_length" together with a number for max_length.'
        )
    return [encoding.padded(length, pad_id, pad_token) for encoding in encodings]
