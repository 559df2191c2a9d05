"""Word vectors as a start for the embeddings: skip-gram on the corpus's own ids (chapter 8).

A small run from random embeddings first spends millions of tokens on learning how often each
token occurs, and which tokens are alike. Skip-gram with negative samples (Mikolov et al. 2013,
https://arxiv.org/abs/1310.4546) learns the second in a minute, from which tokens stand near which.
Letters as in `companion.model`.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState

from companion.errors import CheckpointError, SettingsError
from companion.model import BertForMaskedLM
from companion.pretraining.batches import MaskedBatches, Rows
from companion.training import write_atomically

TOKENS = 20_000_000  # that are read at most
TOKENS_A_MINUTE = 1_000_000  # of a time box: a small part of it
WINDOW, NEGATIVE, SAMPLE = 5, 5, 1e-4
ROWS_AT_ONCE = 512


def skip_gram_vectors(
    split: Rows,
    ordinary: np.ndarray,
    width: int,
    *,
    tokens: int = TOKENS,
    seed: int = 42,
    workers: int | None = None,
) -> np.ndarray:
    """One vector a token, learned from which tokens stand within five places of one another.

    Args:
        split: packed rows; a random part of them is read.
        ordinary: (V,), bool, false for the special tokens, which are left out.
        width: D.
        tokens: about how many are read, once.
        seed: decides which rows. With one worker the result is the same each time.
        workers: threads; by default one a core.

    Returns:
        (V, D), float32, with mean 0 and standard deviation 1 over the tokens that were met; the
        rows of the others are NaN.

    Raises:
        SettingsError: gensim is missing.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise SettingsError(
            "Skip-gram vectors need the library gensim: pip install 'companion[pretrain]'."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "ids.txt"
        _write_ids(split, lines, ordinary, tokens, seed)
        learned = Word2Vec(
            corpus_file=str(lines),
            vector_size=width,
            window=WINDOW,
            sg=1,
            negative=NEGATIVE,
            sample=SAMPLE,
            min_count=1,
            epochs=1,
            seed=seed,
            workers=workers or os.cpu_count() or 1,
        ).wv
    met = np.array([int(token) for token in learned.index_to_key])
    vectors = np.full((len(ordinary), width), np.nan, dtype=np.float32)
    centred = learned.vectors - learned.vectors.mean(0)
    vectors[met] = centred / centred.std()
    return vectors


def start_embeddings(model: BertForMaskedLM, vectors: np.ndarray) -> None:
    """Put `vectors` in place of the token embeddings, at the size of the config's random start.

    The rows that are NaN keep what they have.
    """
    table = model.bert.embeddings.word_embeddings.weight
    met = np.flatnonzero(~np.isnan(vectors[:, 0]))
    with torch.no_grad():
        found = torch.from_numpy(vectors[met]).to(table)
        table[torch.from_numpy(met)] = model.config.initializer_range * found


def start_from_skip_gram(
    model: BertForMaskedLM,
    batches: MaskedBatches,
    path: Path,
    minutes: float | None = None,
    seed: int = 42,
) -> None:
    """Let a run begin from skip-gram vectors; they are kept in `path`, where a resumed run and
    the other processes find the same ones.

    Args:
        model: random weights, D wide.
        batches: their rows are read.
        path: file for the vectors.
        minutes: the time box of the run, if it has one: fewer tokens are read for a short one.
        seed: as in `skip_gram_vectors`.

    Raises:
        SettingsError: gensim is missing.
        CheckpointError: the disk refuses, or the file is damaged.
    """
    with PartialState().main_process_first():
        if not path.is_file():
            tokens = TOKENS if minutes is None else min(TOKENS, int(TOKENS_A_MINUTE * minutes))
            width = model.config.hidden_size
            ordinary = batches.masker.ordinary.numpy()
            vectors = skip_gram_vectors(batches.split, ordinary, width, tokens=tokens, seed=seed)
            content = io.BytesIO()
            np.save(content, vectors)
            write_atomically(path, content.getvalue())
        try:
            vectors = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged ({error}); it holds the vectors that the run began with. Begin "
                "again in another folder."
            ) from error
    start_embeddings(model, vectors)


def _write_ids(split: Rows, path: Path, ordinary: np.ndarray, tokens: int, seed: int) -> None:
    """The ids of random rows as text, a line for each piece of a document."""
    order = np.random.default_rng(seed).permutation(len(split))
    written = 0
    with path.open("w", encoding="ascii") as file:
        for start in range(0, len(order), ROWS_AT_ONCE):
            input_ids, documents = split.rows(order[start : start + ROWS_AT_ONCE])
            for ids, pieces in zip(input_ids.numpy(), documents.numpy(), strict=True):
                for piece in range(1, pieces.max() + 1):
                    kept = ids[(pieces == piece) & ordinary[ids]]
                    file.write(" ".join(map(str, kept.tolist())) + "\n")
                    written += len(kept)
            if written >= tokens:
                return
