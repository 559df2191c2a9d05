"""How fast the tokenizer is beside the slow and the fast one of transformers.

The slow one is the last in pure Python: `transformers` 5 keeps it as `BertTokenizerLegacy`, in
version 4 it is `BertTokenizer`. It returns ids alone; ours returns tokens and offsets too, and is
measured with an empty memory (first pass) and with the words of the texts met before (again).
Seconds are of processor time, so that neighbours on a shared machine do not count; the batches of
the fast tokenizer spread theirs over all cores.
"""

import gc
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import companion
from companion.data import load_dataset
from companion.text import WordPieceTokenizer

Row = dict[str, Any]
Encoder = Callable[[list[str]], list[list[int]]]
VOCABULARY = Path(companion.__file__).parent / "assets" / "vocab.txt"


def tokenizer_rows(
    data: str | Iterable[str] = ("chnsenticorp", "imdb"), *, rows: int = 2000, repeats: int = 3
) -> list[Row]:
    """One row for each side and data set, all on the same texts and the shipped vocabulary.

    Args:
        data: a name for `load_dataset`, or several; texts are taken evenly from the "train" split.
        rows: how many texts of each.
        repeats: runs of every side, in turns; the best time of each counts.

    Returns:
        Rows with data, side, texts, thousands of characters a second in the first and in a
        second pass, the ratio of the first pass to the slow tokenizer's, and the share of texts
        whose ids are those of the slow tokenizer. Seconds are of processor time.
    """
    table = []
    for name in [data] if isinstance(data, str) else data:
        column = load_dataset(name)["train"]["text"][:]
        texts = column[:: max(1, len(column) // rows)][:rows]
        characters = sum(map(len, texts))
        best: dict[str, tuple[float, float]] = {}
        ids: dict[str, list[list[int]]] = {}
        for _ in range(repeats):
            for side, make in SIDES.items():
                encode = make()
                encode(["warm up"])
                times = [_seconds(encode, texts, ids, side) for _ in range(2)]
                old = best.get(side, times)
                best[side] = (min(old[0], times[0]), min(old[1], times[1]))
        slow = next(iter(SIDES))
        for side, (first, again) in best.items():
            same = sum(a == b for a, b in zip(ids[side], ids[slow], strict=True))
            table.append(
                {
                    "data": name,
                    "side": side,
                    "texts": len(texts),
                    "1000 characters/s": characters / first / 1000,
                    "again": characters / again / 1000,
                    "ratio": best[slow][0] / first,
                    "same ids": same / len(texts),
                }
            )
    return table


def _seconds(
    encode: Encoder, texts: list[str], ids: dict[str, list[list[int]]], side: str
) -> float:
    gc.disable()  # as timeit does: what else lies in memory must not decide
    try:
        began = time.process_time()
        ids[side] = encode(texts)
        return time.process_time() - began
    finally:
        gc.enable()


def slow_tokenizer() -> Encoder:
    """The tokenizer of transformers in pure Python, whichever name it has."""
    try:
        module = import_module("transformers.models.bert.tokenization_bert_legacy")
        tokenizer = module.BertTokenizerLegacy(str(VOCABULARY))
    except ImportError:
        tokenizer = import_module("transformers").BertTokenizer(str(VOCABULARY))
    return lambda texts: [tokenizer.encode(text) for text in texts]


def own_tokenizer() -> Encoder:
    """This package's, with an empty memory."""
    tokenizer = WordPieceTokenizer.from_vocab(VOCABULARY)
    return lambda texts: [tokenizer.encode(text).ids for text in texts]


def fast_tokenizer() -> Encoder:
    """The `tokenizers` library, one text at a time."""
    tokenizer = WordPieceTokenizer.from_vocab(VOCABULARY).to_fast()
    return lambda texts: [tokenizer.encode(text).ids for text in texts]


def fast_tokenizer_in_batches() -> Encoder:
    """The `tokenizers` library, all texts at once on all cores."""
    tokenizer = WordPieceTokenizer.from_vocab(VOCABULARY).to_fast()
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(texts)]


SIDES: dict[str, Callable[[], Encoder]] = {
    "transformers, slow": slow_tokenizer,
    "companion": own_tokenizer,
    "tokenizers, one by one": fast_tokenizer,
    "tokenizers, in a batch": fast_tokenizer_in_batches,
}
