"""A model and a vocabulary belong together: the check that they do (chapter 6)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from companion.errors import CheckpointError
from companion.model.config import BertConfig

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def check_vocabulary(
    vocab: Sequence[str] | Mapping[str, int], config: BertConfig, source: str | Path = "vocabulary"
) -> None:
    """Raise CheckpointError unless the vocabulary fits the model.

    With another vocabulary every text still gets ids, and the model answers nonsense.

    Args:
        vocab: tokens in the order of their ids (the lines of vocab.txt), or token -> id.
        config: `vocab_size` and `pad_token_id` are compared. A token table rounded up to the
            next multiple of 64 fits, too: some checkpoints have one for speed.
        source: the file, for the error.
    """
    size = max(vocab.values(), default=-1) + 1 if isinstance(vocab, Mapping) else len(vocab)
    ids = vocab if isinstance(vocab, Mapping) else {token: i for i, token in enumerate(vocab)}
    problems = []
    if config.vocab_size not in (size, -(-size // 64) * 64):
        problems.append(
            f"it has {size} tokens, but config.json says vocab_size {config.vocab_size}"
        )
    if len(ids) < size:
        problems.append(f"{size - len(ids)} of its ids have no token or repeat another line")
    pad = "[PAD]" if "[PAD]" in ids or "<pad>" not in ids else "<pad>"
    # Without any of BERT's marks it follows another custom, such as <s> and <pad>.
    special = _SPECIAL if any(token in ids for token in _SPECIAL) else (pad,)
    if absent := [token for token in special if token not in ids]:
        problems.append(f"it lacks {', '.join(absent)}")
    if pad in ids and config.pad_token_id not in (None, ids[pad]):
        problems.append(
            f"its {pad} is {ids[pad]}, but config.json says pad_token_id {config.pad_token_id}"
        )
    if problems:
        raise CheckpointError(
            f"{source} does not fit the model: {'; '.join(problems)}. Put the vocabulary that "
            "the model was trained with beside its config.json."
        )


def check_folder_vocabulary(folder: Path, config: BertConfig) -> None:
    """`check_vocabulary` for the vocab.txt and tokenizer.json of a folder, where they lie there."""
    for name, read in (("vocab.txt", _read_lines), ("tokenizer.json", _read_tokenizer)):
        path = folder / name
        if not path.is_file():
            continue
        try:
            vocab = read(path)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(
                f"{path} cannot be read as a vocabulary ({error!r}): copy or download it again."
            ) from error
        check_vocabulary(vocab, config, path)


def _read_lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [line.removesuffix("\n") for line in lines]


def _read_tokenizer(path: Path) -> dict[str, int]:
    values = json.loads(path.read_text(encoding="utf-8"))
    vocab = values["model"]["vocab"]
    added = {token["content"]: token["id"] for token in values.get("added_tokens", [])}
    return {**vocab, **added}
