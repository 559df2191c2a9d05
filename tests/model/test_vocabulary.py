"""A vocabulary that does not belong to the model is refused."""

import json

import pytest

from companion.errors import CheckpointError
from companion.model import BertConfig, BertModel, check_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB = [*SPECIAL, *(f"t{i}" for i in range(45))]
CONFIG = BertConfig.tiny(vocab_size=50)


def test_the_right_vocabulary_passes_as_lines_and_as_ids():
    check_vocabulary(VOCAB, CONFIG)
    check_vocabulary({token: i for i, token in enumerate(VOCAB)}, CONFIG)


def test_a_table_rounded_up_to_64_passes():
    check_vocabulary(VOCAB, BertConfig.tiny(vocab_size=64))


@pytest.mark.parametrize(
    ("vocab", "words"),
    [
        (VOCAB[:-1], "has 49 tokens, but config.json says vocab_size 50"),
        ([*VOCAB, "more"], "has 51 tokens"),
        ([*VOCAB[:-1], "t3"], "1 of its ids have no token or repeat another line"),
        ([VOCAB[1], VOCAB[0], *VOCAB[2:]], r"\[PAD\] is 1, but config.json says pad_token_id 0"),
        (["[PAD]", "x", "[CLS]", "y", *VOCAB[4:]], r"it lacks \[UNK\], \[SEP\]"),
        ([f"w{i}" for i in range(50)], r"it lacks \[PAD\]"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(vocab, words):
    with pytest.raises(CheckpointError, match=words):
        check_vocabulary(vocab, CONFIG)


def test_marks_of_another_custom_pass_if_the_padding_agrees():
    vocab = ["<s>", "<pad>", "</s>", *VOCAB[5:], "x", "y"]
    check_vocabulary(vocab, BertConfig.tiny(vocab_size=50, pad_token_id=1))
    with pytest.raises(CheckpointError, match="<pad> is 1"):
        check_vocabulary(vocab, CONFIG)


def tokenizer(vocab, added=()):
    tokens = [{"id": i, "content": token} for token, i in added]
    values = {"added_tokens": tokens, "model": {"vocab": {t: i for i, t in enumerate(vocab)}}}
    return json.dumps(values)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("vocab.txt", "\n".join(VOCAB) + "\n", "\n".join(VOCAB[:-2]) + "\n"),
        ("vocab.txt", "\r\n".join(VOCAB), "no vocabulary at all"),
        ("tokenizer.json", tokenizer(VOCAB), tokenizer([*VOCAB, "more"])),
        ("tokenizer.json", tokenizer(VOCAB[:-1], [("new", 49)]), "{}"),
        ("tokenizer.json", tokenizer(VOCAB), "["),
    ],
)
def test_a_folder_with_a_foreign_vocabulary_is_refused(tmp_path, name, good, bad):
    BertModel(CONFIG).save_pretrained(tmp_path)
    (tmp_path / name).write_text(good, newline="")
    BertModel.from_pretrained(tmp_path)
    (tmp_path / name).write_text(bad)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        BertModel.from_pretrained(tmp_path)
