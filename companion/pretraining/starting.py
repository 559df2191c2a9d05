"""Where a run starts, and the settings that suit a model, a corpus and a device (chapter 8)."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import PartialState

from companion.errors import SettingsError
from companion.model import BertConfig, BertForMaskedLM
from companion.model.vocabulary import check_vocabulary
from companion.pretraining.corpus import PackedCorpus
from companion.pretraining.positions import continue_positions, trained_positions
from companion.text import WordPieceTokenizer

PRESETS = ("tiny", "mini", "small", "medium", "base", "large")
BATCH_TOKENS = {"cuda": 32768}  # of an update: enough to fill a GPU
FEW_TOKENS = 2048  # elsewhere: on slow hardware the number of updates decides
PIECE_TOKENS = {"cuda": 65536}  # that a device computes at once
FEW_PIECE_TOKENS = 8192

Start = str | Path | BertConfig | BertForMaskedLM


def starting_model(
    start: Start, corpus: PackedCorpus, dropout: float, seed: int
) -> tuple[BertForMaskedLM, BertConfig]:
    """A model of its own to train, with `dropout`, and the config that is saved in the end.

    Where the corpus has longer rows than the model of a folder was trained on, its new positions
    go on from the trained ones.

    Raises SettingsError or CheckpointError for a model whose vocabulary or positions do not fit
    the corpus, CheckpointError for a folder that cannot be read.
    """
    given: BertForMaskedLM | None = None
    torch.manual_seed(seed)
    if isinstance(start, BertConfig):
        config = start
    elif isinstance(start, BertForMaskedLM):
        given, config = start, start.config
    elif str(start) in PRESETS:
        config = getattr(BertConfig, str(start))(vocab_size=corpus.vocab_size)
    else:
        given = BertForMaskedLM.from_pretrained(start)
        config = given.config
        _refuse_other_tokens(Path(start), corpus)
    check_vocabulary(corpus.tokenizer.tokens, config, f"The vocabulary of {corpus.folder}")
    if corpus.row_length > config.max_position_embeddings:
        raise SettingsError(
            f"The corpus has rows of {corpus.row_length} positions, but the model only "
            f"{config.max_position_embeddings}. Prepare it with a smaller row_length."
        )
    model = BertForMaskedLM(
        replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    )
    if given is not None:
        model.load_state_dict(given.state_dict())
    trained = positions_at_start(start, config)
    if 0 < trained < corpus.row_length:
        continue_positions(model, trained)
    return model, config


def positions_at_start(start: Start, config: BertConfig) -> int:
    """How many positions a start has been trained on: 0 where that is not said."""
    if not isinstance(start, str | Path) or str(start) in PRESETS:
        return 0
    return min(trained_positions(Path(start)) or 0, config.max_position_embeddings)


def check_start(start: Start, head_start: bool | None = None) -> bool:
    """Whether the run gets a head start: by default random weights do.

    Raises SettingsError for a start that there is not, or that a head start would overwrite.
    """
    random = isinstance(start, BertConfig) or str(start) in PRESETS
    if head_start and not random:
        raise SettingsError(
            "A head start would overwrite what the given model has learned; it is for random "
            f"weights ({', '.join(PRESETS)}, or a config)."
        )
    if not isinstance(start, str | Path) or random or Path(start).is_dir():
        return random if head_start is None else head_start
    raise SettingsError(
        f'There is no model "{start}": give {", ".join(PRESETS)} for random weights, or a folder '
        "with config.json and model.safetensors."
    )


def default_learning_rate(config: BertConfig) -> float:
    """The peak: 1e-3 up to 256 wide, and less in proportion to the width beyond it."""
    return 1e-3 * min(1.0, 256 / config.hidden_size)


def default_batch_size(row_length: int, device: str) -> int:
    """Rows in an update: 2,048 tokens on a CPU, 32,768 on a GPU."""
    return max(1, BATCH_TOKENS.get(device, FEW_TOKENS) // row_length)


def default_pieces(rows: int, row_length: int) -> int:
    """Pieces that each device cuts its share of a batch into, so that it fits into memory."""
    state = PartialState()
    at_once = PIECE_TOKENS.get(state.device.type, FEW_PIECE_TOKENS)
    return min(rows, math.ceil(rows * row_length / (at_once * state.num_processes)))


def fingerprint(model: torch.nn.Module) -> str:
    """A hash of all weights: what a resumed run must have started from."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _refuse_other_tokens(folder: Path, corpus: PackedCorpus) -> None:
    if not any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
        return
    if WordPieceTokenizer.from_folder(folder).tokens != corpus.tokenizer.tokens:
        raise SettingsError(
            f"The vocabulary in {folder} is not the one of the corpus {corpus.folder}. Prepare "
            "the texts with the model's own tokenizer."
        )
