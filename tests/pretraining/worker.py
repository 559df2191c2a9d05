"""A small pretraining run that a test can kill, or start on several processes."""

import sys
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import torch

from companion.model import BertConfig
from companion.pretraining import PackedCorpus, PretrainingResult, prepare_corpus, pretrain
from companion.pretraining.batches import MaskedBatches
from companion.text import WordPieceTokenizer

QUICK: dict[str, Any] = {
    "steps": 24,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "precision": "fp32",
    "eval_steps": 6,
    "save_steps": 3,
    "dev_rows": 16,
    "progress": False,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tiny_config(vocab_size: int, **changes: Any) -> BertConfig:
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 48,
    }  # fmt: skip
    return BertConfig(vocab_size=vocab_size, **{**sizes, **changes})


def small_corpus(folder: Path, documents: int = 300) -> PackedCorpus:
    """Two sources of words of one letter in the order of the alphabet: easy to predict."""
    generator = torch.Generator().manual_seed(0)
    for name in ("one", "two"):
        texts = []
        for _ in range(documents):
            start, length = torch.randint(4, 24, (2,), generator=generator).tolist()
            words = [LETTERS[(start + i) % 26] for i in range(length)]
            texts.append(" ".join(words))
        (folder / f"{name}.txt").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return prepare_corpus(
        [folder / "one.txt", folder / "two.txt"],
        folder / "corpus",
        tokenizer=letters_tokenizer(),
        row_length=32,
        dev_share=0.1,
        min_tokens=2,
        deduplicate=False,
        languages={"one": "en", "two": "zh"},
        progress=False,
    )


def letters_tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS])


def run(
    corpus: Path, out: Path, resume: bool = False, counter: Synchronized | None = None, **more: Any
) -> PretrainingResult:
    """Pretrain; `counter` tells another process how many batches were read."""
    torch.set_num_threads(1)
    if counter is not None:
        plain = MaskedBatches.collate

        def counted(self, rows):
            counter.value += 1
            return plain(self, rows)

        MaskedBatches.collate = counted  # type: ignore[method-assign]
    return pretrain(
        corpus, out=out, model=tiny_config(31), resume=resume, dropout=0.1, **{**QUICK, **more}
    )


if __name__ == "__main__":
    # Without dropout: each process draws its own, as each device must.
    pretrain(sys.argv[1], out=sys.argv[2], model=tiny_config(31), dropout=0.0, **QUICK)
