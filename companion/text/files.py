"""Reading and writing the files of a tokenizer, taught in chapter 5.

A Hugging Face folder describes a BERT tokenizer in three files:

- ``vocab.txt``: one token a line; the line number, counted from 0, is the token's id;
- ``tokenizer.json``: the whole pipeline, for the ``tokenizers`` library;
- ``tokenizer_config.json``: the options, for ``transformers``, whose version 5 writes no
  ``vocab.txt`` any more. So either of the first two is enough to read a folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion.errors import DataError, NotFoundError
from companion.text.normalize import Normalizer

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_WORD_LENGTH = 100  # characters; a longer word is unknown as a whole


def read_vocabulary(path: str | Path) -> list[str]:
    """Read a ``vocab.txt``; the token of id ``i`` is element ``i``.

    Raises NotFoundError when there is no such file, and DataError when it is not UTF-8 or not a
    vocabulary (see `check_vocabulary`).
    """
    path = Path(path)
    # Only a line feed ends a token: str.splitlines would also cut at U+2028 and its kin.
    lines = _read_text(path).removesuffix("\n").split("\n")
    tokens = [line.removesuffix("\r") for line in lines]
    check_vocabulary(tokens, str(path))
    return tokens


def check_vocabulary(tokens: Sequence[str], name: str = "The vocabulary") -> None:
    """Raise DataError, naming line and remedy, unless `tokens` can be a vocabulary.

    It must not be empty, hold an empty line or repeat a token, nor lack a special token.
    """
    if not any(tokens):
        raise DataError(f"{name} is empty; a vocabulary has one token a line.")
    first_line: dict[str, int] = {}
    for number, token in enumerate(tokens, start=1):
        if not token:
            raise DataError(f"{name}, line {number}, is empty; every line must hold one token.")
        if token in first_line:
            raise DataError(
                f"{name}, line {number}, repeats the token {token!r} of line {first_line[token]}; "
                "a token can have one id only: remove one of the two lines."
            )
        first_line[token] = number
    missing = [token for token in SPECIAL_TOKENS if token not in first_line]
    if missing:
        raise DataError(
            f"{name} lacks the special token{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"BERT needs all of {', '.join(SPECIAL_TOKENS)}, one line each."
        )


def save_folder(
    folder: str | Path,
    tokens: Sequence[str],
    normalizer: Normalizer,
    pipeline: str,
    max_length: int = 512,
) -> None:
    """Write ``vocab.txt``, ``tokenizer.json`` and ``tokenizer_config.json`` into `folder`.

    `pipeline` is the text of ``tokenizer.json``. Raises DataError when `tokens` is no vocabulary
    or a token holds a line end, which ``vocab.txt`` cannot express.
    """
    check_vocabulary(tokens)
    for i, token in enumerate(tokens):
        if "\n" in token or token.endswith("\r"):
            raise DataError(f"Token {i}, {token!r}, holds a line end; vocab.txt cannot express it.")
    config: dict[str, Any] = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": normalizer.lowercase,
        "strip_accents": normalizer.strip_accents,
        "tokenize_chinese_chars": normalizer.split_chinese,
        "model_max_length": max_length,
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "vocab.txt": "".join(f"{token}\n" for token in tokens),
        "tokenizer.json": f"{pipeline}\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")


def read_folder(folder: str | Path) -> tuple[list[str], Normalizer]:
    """Vocabulary and options of a Hugging Face folder.

    The options come from ``tokenizer_config.json``, else from ``tokenizer.json`` (which version 5
    of ``transformers`` then passes over), else they are BERT's defaults; the vocabulary comes
    from ``vocab.txt``, else from ``tokenizer.json``. Raises NotFoundError when the folder has
    neither of those, and DataError when a file is damaged or describes another kind of tokenizer.
    """
    folder = Path(folder)
    pipeline = _read_json(folder / "tokenizer.json")
    config = _read_json(folder / "tokenizer_config.json")
    steps: dict[str, Any] = pipeline.get("normalizer") or {}
    normalizer = Normalizer(
        config.get("do_lower_case", steps.get("lowercase", True)),
        config.get("strip_accents", steps.get("strip_accents")),
        config.get("tokenize_chinese_chars", steps.get("handle_chinese_chars", True)),
    )
    if (folder / "vocab.txt").is_file():
        return read_vocabulary(folder / "vocab.txt"), normalizer
    model: dict[str, Any] = pipeline.get("model") or {}
    if not pipeline:
        raise NotFoundError(
            f"The folder {folder} has neither vocab.txt nor tokenizer.json; give a folder with a "
            "BERT tokenizer in Hugging Face's format."
        )
    if model.get("type") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        raise DataError(
            f"{folder / 'tokenizer.json'} describes a {model.get('type')} tokenizer, not a "
            "WordPiece one; load it with transformers.AutoTokenizer instead."
        )
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    if [model["vocab"][token] for token in tokens] != list(range(len(tokens))):
        raise DataError(f"The ids in {folder / 'tokenizer.json'} do not run from 0 without a gap.")
    check_vocabulary(tokens, str(folder / "tokenizer.json"))
    return tokens, normalizer


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, is not JSON ({error.msg}); the file is damaged: copy or "
            "save the folder again."
        ) from error
    return content if isinstance(content, dict) else {}


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise NotFoundError(
            f"There is no file {path}; a vocabulary is a text file with one token a line."
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8 or fetch it again."
        ) from error
