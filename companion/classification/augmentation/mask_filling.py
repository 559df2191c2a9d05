"""Other words for a text, guessed by a masked language model (chapter 13).

A share of the words is hidden, and the model says what could stand there: contextual augmentation
(Kobayashi 2018, with an LSTM; Wu et al. 2019, with BERT). Both also tell their model the label.
This one does not know it, and in 服务很[MASK] ("the service is very …") it may put 差 ("bad") where
好 ("good") stood: the price of using a model as it is.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from tqdm.auto import tqdm
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from companion.classification.augmentation.words import WORD, is_character, is_run
from companion.classification.encoders import first_line, load_tokenizer, quiet
from companion.data import locate_model
from companion.errors import CheckpointError, SettingsError

CANDIDATES = 10  # of the most probable words, one is drawn


def fill_masks(
    texts: Sequence[str],
    *,
    share: float = 0.15,
    seed: int = 42,
    model: str | Path = "bilingual-mini",
    candidates: int = CANDIDATES,
    batch_size: int = 16,
    progress: bool = False,
) -> list[str]:
    """A share of the words gives way to guesses of the model; everything else stays as it is.

    Args:
        texts: n texts.
        share: of the words that are one token each; each is hidden with this probability, and
            one at least. (Words of several tokens, and what lies beyond the model's longest
            input, are left alone.)
        seed: with the place in the list it decides which words, and which guesses.
        model: a masked language model with a WordPiece vocabulary: a name or folder as for
            `fine_tune`.
        candidates: how many of the most probable words a guess is drawn from, in proportion to
            their probabilities. The word that stood there is none of them, and a Chinese
            character is replaced by a Chinese character, letters by letters.
        batch_size: texts at once; each of their tokens has a score for each word of the vocabulary.
        progress: show a progress bar.

    Returns:
        n texts of as many words each.

    Raises:
        SettingsError: an impossible number, or a tokenizer that is not WordPiece.
        NotFoundError, CheckpointError: there is no such model, or it cannot fill masks.
    """
    if not 0 < share < 1:
        raise SettingsError(f"share is {share}; it is a share of the words, between 0 and 1.")
    if candidates < 1:
        raise SettingsError(f"candidates is {candidates}; it must be 1 or more.")
    network, tokenizer = load_filler(str(model))
    characters, runs = vocabulary_by_script(tokenizer)
    limit = min(tokenizer.model_max_length, network.config.max_position_embeddings)
    result = list(texts)
    # Texts of one length together: little padding.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    bar = tqdm(total=len(texts), unit="text", disable=not progress or not sys.stderr.isatty())
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        hidden = {row: _hide(texts[row], share, tokenizer, limit, (seed, row)) for row in rows}
        rows = [row for row in rows if hidden[row][1]]
        bar.update(batch_size)
        if not rows:
            continue
        longest = max(len(hidden[row][0]) for row in rows)
        ids = torch.full((len(rows), longest), tokenizer.pad_token_id)  # (B, T)
        for i, row in enumerate(rows):
            ids[i, : len(hidden[row][0])] = torch.tensor(hidden[row][0])
        ids = ids.to(network.device)
        with torch.inference_mode():
            logits = network(input_ids=ids, attention_mask=ids != tokenizer.pad_token_id).logits
        for i, row in enumerate(rows):
            draws = np.random.default_rng((seed, row, 1))
            text = texts[row]
            # From the end, so that the places before stay where they are.
            for place, first, last, token in reversed(hidden[row][1]):
                allowed = characters if is_character(text[first:last]) else runs
                if len(allowed) < 2:
                    continue
                scores = logits[i, place, allowed].float().cpu()  # (number of allowed words,)
                scores[allowed == token] = -torch.inf
                best = scores.topk(min(candidates, len(allowed) - 1))
                weights = torch.softmax(best.values, dim=-1).double().numpy()
                drawn = draws.choice(len(weights), p=weights / weights.sum())
                guess = str(tokenizer.convert_ids_to_tokens(int(allowed[best.indices[drawn]])))
                text = text[:first] + guess + text[last:]
            result[row] = text
    bar.close()
    return result


def _hide(
    text: str, share: float, tokenizer: PreTrainedTokenizerBase, longest: int, seed: tuple[int, int]
) -> tuple[list[int], list[tuple[int, int, int, int]]]:
    """The ids of a text with words hidden, and of each: its place, first and last sign, token."""
    encoded = tokenizer(
        text, truncation=True, max_length=longest, return_offsets_mapping=True
    )  # fmt: skip
    ids, spans = list(encoded["input_ids"]), encoded["offset_mapping"]
    words = {match.span() for match in WORD.finditer(text)}
    whole = [(i, *span, ids[i]) for i, span in enumerate(spans) if tuple(span) in words]
    if not whole:
        return ids, []
    draws = np.random.default_rng(seed)
    chosen = draws.random(len(whole)) < share
    if not chosen.any():
        chosen[draws.integers(len(whole))] = True
    hidden = [word for word, hide in zip(whole, chosen, strict=True) if hide]
    for place, *_ in hidden:
        ids[place] = tokenizer.mask_token_id
    return ids, hidden


@lru_cache(maxsize=1)
def load_filler(model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A masked language model in eval mode, on the GPU when there is one, and its tokenizer.

    Raises:
        CheckpointError: the folder holds no head that fills masks.
    """
    folder = locate_model(model)
    tokenizer = load_tokenizer(folder)
    if tokenizer.mask_token_id is None or not tokenizer.is_fast:
        raise CheckpointError(f"The tokenizer in {folder} has no [MASK], or no places of tokens.")
    try:
        with quiet():
            network, report = AutoModelForMaskedLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"The model in {folder} cannot be read: {first_line(error)}. Fetch it again."
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"The model in {folder} cannot fill masks: its file lacks {', '.join(missing[:3])}. "
            "Give one that was pretrained, and not fine-tuned afterwards."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.nn.Module.to(network, torch.device(device))
    return network.eval(), tokenizer


def vocabulary_by_script(tokenizer: PreTrainedTokenizerBase) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids of single Chinese characters, and of whole words of letters.

    Raises:
        SettingsError: the vocabulary marks whole words in another way than WordPiece does.
    """
    special = set(tokenizer.all_special_ids)
    ordinary = [(t, i) for t, i in tokenizer.get_vocab().items() if i not in special]
    characters = sorted(i for token, i in ordinary if is_character(token))
    runs = sorted(i for token, i in ordinary if is_run(token))
    if not any(token.startswith("##") for token, _ in ordinary):
        raise SettingsError("Masks are filled with WordPiece vocabularies only, such as BERT's.")
    return torch.tensor(characters), torch.tensor(runs)
