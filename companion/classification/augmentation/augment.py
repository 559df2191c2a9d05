"""More training texts from the ones there are, label kept (chapter 13).

Two of the four operations of EDA (Wei & Zou 2019), which need nothing but the text: words are
left out, or change places with their neighbour. A Chinese character counts as a word here. EDA
reports a gain of under one point with all labels and about three points with 500 of them, for
networks without pretraining; with a pretrained encoder there is often nothing left of it (Longpre
et al. 2020). The third way, in `mask_filling`, asks a masked language model what else could stand
there.

All of them may change what a text says: to leave out 不 ("not") turns a complaint into praise.
Whether it pays is a question to the dev split, each time.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets

from companion.classification.augmentation.mask_filling import fill_masks
from companion.classification.augmentation.words import cut, glue, is_word
from companion.classification.splits import as_splits, with_dev_split
from companion.errors import SettingsError


def delete_words(texts: Sequence[str], *, share: float = 0.1, seed: int = 42) -> list[str]:
    """Each word is left out with probability `share`, at least one stays (EDA's random deletion).

    Args:
        texts: n texts; those of fewer than two words come back as they are.
        share: EDA's α.
        seed: with the place in the list it decides which; the same seed gives the same texts.

    Returns:
        n texts. Punctuation and the spaces between the words that stay are kept.
    """
    _check(share)
    return [_delete(text, share, _draws(seed, i)) for i, text in enumerate(texts)]


def swap_neighbours(texts: Sequence[str], *, share: float = 0.1, seed: int = 42) -> list[str]:
    """Pairs of neighbouring words change places: `share` of the number of words, at least one.

    EDA swaps any two words of a text. Neighbours, with no punctuation between them, leave more
    of its sense. Arguments and result as for `delete_words`; the words stay the same ones.
    """
    _check(share)
    return [_swap(text, share, _draws(seed, i)) for i, text in enumerate(texts)]


OPERATIONS: Mapping[str, Callable[..., list[str]]] = {
    "delete": delete_words,
    "swap": swap_neighbours,
    "fill": fill_masks,
}


def augment(
    data: DatasetDict | Dataset | str | Path,
    how: str | Sequence[str] = "delete",
    *,
    copies: int = 1,
    seed: int = 42,
    **options: Any,
) -> DatasetDict:
    """The data with changed copies of its training texts, and only of those.

    Args:
        data: what `load_dataset` returns or takes. Where there is no "dev" split, a tenth of
            "train" becomes one first, as in `fine_tune`: afterwards dev texts would have
            siblings in "train".
        how: "delete", "swap", "fill", or several, which then take turns from copy to copy.
        copies: changed copies of each text. One that equals its original or another copy is left
            out: it would only make its text weigh more.
        seed: decides all draws.
        options: of the operations, such as `share`, or `model` for "fill".

    Returns:
        The splits; "train" holds the originals first and then the copies. Other columns of a
        copy are those of its original.

    Raises:
        SettingsError: an unknown operation, or an impossible number.
    """
    names = [how] if isinstance(how, str) else list(how)
    if not names or (unknown := [name for name in names if name not in OPERATIONS]):
        raise SettingsError(
            f"There is no augmentation {', '.join(unknown) if names else 'named'}. There are: "
            f"{', '.join(OPERATIONS)}."
        )
    if not isinstance(copies, int) or copies < 1:
        raise SettingsError(f"copies is {copies}; it must be a whole number from 1 up.")
    data, _ = with_dev_split(as_splits(data), seed)
    train = data["train"]
    texts = train["text"][:]
    known = [{text} for text in texts]
    rows: list[int] = []
    changed: list[str] = []
    for copy in range(copies):
        operation = OPERATIONS[names[copy % len(names)]]
        for row, text in enumerate(operation(texts, seed=seed + copy, **options)):
            if text not in known[row]:
                known[row].add(text)
                rows.append(row)
                changed.append(text)
    if not rows:
        return data
    siblings = train.select(rows).to_dict() | {"text": changed}
    enlarged = concatenate_datasets([train, Dataset.from_dict(siblings, features=train.features)])
    return DatasetDict({**data, "train": enlarged})


def _delete(text: str, share: float, draws: np.random.Generator) -> str:
    gaps, units = cut(text)
    words = [i for i, unit in enumerate(units) if is_word(unit)]
    if len(words) < 2:
        return text
    gone = {i for i, draw in zip(words, draws.random(len(words)), strict=True) if draw < share}
    if len(gone) == len(words):
        gone.discard(int(draws.choice(words)))
    kept_gaps: list[str] = []
    kept_units: list[str] = []
    for i, unit in enumerate(units):
        if i not in gone:
            # What stood before the text's first unit stands before the first that is left.
            kept_gaps.append(gaps[i] if kept_units else gaps[0])
            kept_units.append(unit)
    return glue([*kept_gaps, gaps[-1]], kept_units) if gone else text


def _swap(text: str, share: float, draws: np.random.Generator) -> str:
    gaps, units = cut(text)
    places = [i for i in range(len(units) - 1) if is_word(units[i]) and is_word(units[i + 1])]
    if not places:
        return text
    words = sum(map(is_word, units))
    # Without replacement: the same pair twice would be no change.
    times = min(max(1, round(share * words)), len(places))
    for i in draws.choice(places, size=times, replace=False):
        units[i], units[i + 1] = units[i + 1], units[i]
    return glue(gaps, units)


def _draws(seed: int, place: int) -> np.random.Generator:
    """A source of random numbers for each text, whatever stands beside it in the list."""
    return np.random.default_rng((seed, place))


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise SettingsError(f"share is {share}; it is a share of the words, between 0 and 1.")
