"""A start that knows which tokens are alike and looks at their neighbours (chapter 8).

A model of random weights first spends millions of tokens on learning how often each token
occurs: as long as it cannot tell which token stands next to a mask, nothing else helps. What it
would have to find out first can be put into its weights, and stays free to change:

- the token table begins with vectors of counted neighbours: tokens with the same ones are alike
  (Levy and Goldberg 2014, https://papers.nips.cc/paper/5477, section 5: the matrix of positive
  pointwise mutual information, and its truncated singular value decomposition);
- the position table begins with sine waves, whose shift by one place is a rotation (Vaswani et
  al. 2017, section 3.5);
- queries and keys of the lowest layers begin such that each head looks at one neighbour: the
  last, the next, the last but one, the next but one (trained models grow such heads: Clark et al.
  2019, section 3.1);
- their values and outputs, and the word head's dense layer, begin near the identity, so that what
  is seen arrives as it is. (Trockman and Kolter 2023, https://arxiv.org/abs/2305.09828, found
  matrices near multiples of it in trained models, and gained by starting from such.)

Letters as in `companion.model`.
"""

import io
import math
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from accelerate import PartialState
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from companion.errors import CheckpointError
from companion.model import BertForMaskedLM
from companion.pretraining.batches import MaskedBatches, Rows
from companion.training import write_atomically

TOKENS = 20_000_000  # that are counted at most
TOKENS_A_MINUTE = 2_000_000  # of a time box: a small part of it
WINDOW = 2  # neighbours on each side that count
SMOOTHING = 0.75  # power of the neighbours' frequencies (Levy et al. 2015, section 3.2)
ROWS_AT_ONCE = 4096

SCALE = 0.05  # standard deviation of the token table, and amplitude of the waves
SHORTEST, LONGEST = 4.0, 64.0  # wavelengths, in positions
LAYERS = 2  # the lowest, that begin so: with all four of a small model it falls a little later
NEIGHBOURS = (-1, 1, -2, 2)  # that the heads of a layer look at, in turn


def neighbour_vectors(
    split: Rows, ordinary: np.ndarray, width: int, *, tokens: int = TOKENS, seed: int = 42
) -> np.ndarray:
    """One vector a token, such that tokens with the same neighbours lie close together.

    Args:
        split: packed rows; a random part of them is read.
        ordinary: (V,), bool, false for the special tokens, which are left out.
        width: D.
        tokens: about how many are counted.
        seed: decides which rows.

    Returns:
        (V, D), float32, with mean 0 and standard deviation 1 over the tokens that were met; the
        rows of the others are NaN.
    """
    counts = _count_neighbours(split, ordinary, tokens, seed)  # (V, V), symmetric
    of_token = np.asarray(counts.sum(1)).ravel()  # (V,)
    smoothed = of_token**SMOOTHING / (of_token**SMOOTHING).sum()
    pairs = counts.tocoo()
    pmi = np.log(pairs.data / (of_token[pairs.row] * smoothed[pairs.col]))
    known = pmi > 0
    places = (pairs.row[known], pairs.col[known])
    ppmi = sp.csr_matrix((pmi[known].astype(np.float32), places), counts.shape)
    met = np.flatnonzero(of_token)
    rank = min(width, len(met))
    left, strength, _ = randomized_svd(ppmi, rank, n_iter=3, random_state=seed)
    # The root of the singular values, and not all of them (Levy et al. 2015, section 3.3).
    found = np.pad(left * np.sqrt(strength), ((0, 0), (0, width - rank)))[met]
    vectors = np.full((len(ordinary), width), np.nan, dtype=np.float32)
    found -= found.mean(0)
    vectors[met] = found / found.std()
    return vectors


def waves(positions: int, width: int) -> Tensor:
    """(positions, width): sine and cosine of each wavelength, from `SHORTEST` to `LONGEST`.

    Entries 2k and 2k + 1 of row p are sin(w_k p) and cos(w_k p).
    """
    angles = torch.arange(positions)[:, None] * _frequencies(width)  # (P, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def shift(distance: float, width: int) -> Tensor:
    """(width, width), the matrix R with R waves(p) = waves(p + distance), for each position p."""
    angles = distance * _frequencies(width)
    turns = [
        torch.tensor([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        for a in angles.tolist()
    ]
    return torch.block_diag(*turns)


def start_ahead(model: BertForMaskedLM, vectors: np.ndarray) -> None:
    """Put all this into the weights of a model, on top of their random start.

    Args:
        model: of D wide, in place. Heads of odd width, which hold no waves, keep random queries.
        vectors: (V, D) from `neighbour_vectors`; the rows that are NaN keep what they have.
    """
    config, H = model.config, model.config.head_size  # noqa: N806
    named = dict(model.named_parameters())
    tokens = named["bert.embeddings.word_embeddings.weight"]
    met = np.flatnonzero(~np.isnan(vectors[:, 0]))
    identity = torch.eye(config.hidden_size).to(tokens)
    even = range(0 if H % 2 else config.num_attention_heads)
    with torch.no_grad():
        tokens[torch.from_numpy(met)] = SCALE * torch.from_numpy(vectors[met]).to(tokens)
        if even:
            code = waves(config.max_position_embeddings, H).repeat(1, len(even))
            named["bert.embeddings.position_embeddings.weight"].copy_(SCALE * code)
        for number in range(min(LAYERS, config.num_hidden_layers)):
            attention = f"bert.encoder.layer.{number}.attention"
            named[f"{attention}.self.value.weight"].add_(identity)
            named[f"{attention}.output.dense.weight"].add_(identity)
            for head in even:
                part = slice(head * H, (head + 1) * H)
                turn = shift(NEIGHBOURS[head % len(NEIGHBOURS)], H).to(tokens)
                named[f"{attention}.self.query.weight"][part, part].add_(turn)
                named[f"{attention}.self.key.weight"][part, part].add_(identity[part, part])
        named["cls.predictions.transform.dense.weight"].add_(identity)


def start_run_ahead(
    model: BertForMaskedLM,
    batches: MaskedBatches,
    path: Path,
    minutes: float | None = None,
    seed: int = 42,
) -> None:
    """Let a run begin so; its vectors are kept in `path`, where a resumed run and the other
    processes find the same ones.

    Args:
        model: random weights, in place.
        batches: their rows are read.
        path: file for the vectors.
        minutes: the time box of the run, if it has one: fewer tokens are counted for a short one.
        seed: as in `neighbour_vectors`.

    Raises CheckpointError when the disk refuses, or the file is damaged.
    """
    with PartialState().main_process_first():
        if not path.is_file():
            tokens = TOKENS if minutes is None else min(TOKENS, int(TOKENS_A_MINUTE * minutes))
            width, ordinary = model.config.hidden_size, batches.masker.ordinary.numpy()
            vectors = neighbour_vectors(batches.split, ordinary, width, tokens=tokens, seed=seed)
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
    start_ahead(model, vectors)


def _count_neighbours(split: Rows, ordinary: np.ndarray, tokens: int, seed: int) -> sp.csr_matrix:
    """How often two tokens stand within `WINDOW` places in one text, near ones weighing more.

    (V, V), symmetric; at a distance of d places a pair counts (WINDOW + 1 - d) / WINDOW.
    """
    size = len(ordinary)
    counts = sp.csr_matrix((size, size), dtype=np.float32)
    order = np.random.default_rng(seed).permutation(len(split))
    read = 0
    for start in range(0, len(order), ROWS_AT_ONCE):
        ids, documents = (x.numpy() for x in split.rows(order[start : start + ROWS_AT_ONCE]))
        usable = ordinary[ids] & (documents != 0)  # (rows, T)
        for d in range(1, WINDOW + 1):
            same = documents[:, :-d] == documents[:, d:]
            near = usable[:, :-d] & usable[:, d:] & same
            pair = (ids[:, :-d][near], ids[:, d:][near])
            weight = np.full(len(pair[0]), (WINDOW + 1 - d) / WINDOW, dtype=np.float32)
            counts = counts + sp.csr_matrix((weight, pair), (size, size))
        read += int(usable.sum())
        if read >= tokens:
            break
    return counts + counts.T


def _frequencies(width: int) -> Tensor:
    """w_k = 2 pi / wavelength, for each of width / 2 wavelengths in equal ratios."""
    lengths = torch.logspace(math.log10(SHORTEST), math.log10(LONGEST), width // 2)
    return 2 * math.pi / lengths
