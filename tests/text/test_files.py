"""The files of a tokenizer: written, read back, loaded by the other libraries, and damaged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, BertTokenizer

from companion.errors import DataError, NotFoundError
from companion.text import Normalizer, WordPieceTokenizer
from companion.text.files import check_vocabulary, read_folder, read_vocabulary
from tests.text.test_wordpiece import SPECIAL, TEN

TEXT = "UNwantéd, running 博推!"
OPTIONS = [
    {},
    {"lowercase": False},
    {"strip_accents": False, "split_chinese": False},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_saved_folder_is_read_back_and_by_both_libraries(tmp_path, options):
    tokenizer = WordPieceTokenizer([*SPECIAL, *TEN], **options)
    tokenizer.save(tmp_path, max_length=128)
    again = WordPieceTokenizer.from_folder(tmp_path)
    assert (again.tokens, again.normalizer) == (tokenizer.tokens, tokenizer.normalizer)
    ids = tokenizer.encode(TEXT).ids
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(TEXT).ids == ids
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXT)["input_ids"] == ids
    assert set(theirs(TEXT)) == {"input_ids", "token_type_ids", "attention_mask"}
    assert (theirs.model_max_length, theirs.mask_token_id) == (128, 4)


@pytest.mark.parametrize("options", OPTIONS)
def test_transformers_reads_the_vocabulary_and_options_without_tokenizer_json(tmp_path, options):
    tokenizer = WordPieceTokenizer([*SPECIAL, *TEN], **options)
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    theirs = BertTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT).ids


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_folder_of_transformers_without_vocab_txt_is_read(tmp_path, lowercase):
    vocab = {token: i for i, token in enumerate([*SPECIAL, *TEN])}
    theirs = BertTokenizer(vocab=vocab, do_lower_case=lowercase)
    theirs.save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.txt").exists()
    ours = WordPieceTokenizer.from_folder(tmp_path)
    assert ours.encode(TEXT).ids == theirs(TEXT)["input_ids"]


@given(st.lists(st.text(min_size=1), unique=True))
def test_any_vocabulary_survives_its_file(tmp_path_factory, tokens):
    folder = tmp_path_factory.mktemp("vocabulary")
    tokenizer = WordPieceTokenizer(list(dict.fromkeys([*SPECIAL, *tokens])))
    try:
        tokenizer.save(folder)
    except DataError as error:
        assert "cannot express it" in str(error)
    else:
        assert read_vocabulary(folder / "vocab.txt") == tokenizer.tokens


def test_windows_line_ends_are_no_part_of_a_token(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*SPECIAL, "博", ""]).encode())
    assert read_vocabulary(path) == [*SPECIAL, "博"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; a vocabulary has one token a line"),
        ("\n\n", "is empty"),
        ("\n".join([*SPECIAL, "a", "", "b"]), "line 7, is empty"),
        ("\n".join([*SPECIAL, "a", "b", "a"]), "line 8, repeats the token 'a' of line 6"),
        ("[PAD]\n[UNK]\n[CLS]\na", r"lacks the special tokens \[SEP\], \[MASK\]"),
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\na", r"lacks the special token \[MASK\]; BERT needs all"),
        ("\n".join(SPECIAL).encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_bad_vocabulary_is_refused_with_its_line(tmp_path, content, sentence):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=sentence) as error:
        WordPieceTokenizer.from_vocab(path)
    assert str(path) in str(error.value)


def test_a_list_of_tokens_is_checked_as_a_file_is():
    with pytest.raises(DataError, match="The vocabulary, line 6, repeats"):
        check_vocabulary([*SPECIAL, "[PAD]"])


def test_missing_files_are_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"There is no file .*vocab\.txt"):
        WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt")
    with pytest.raises(NotFoundError, match="has neither vocab"):
        WordPieceTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        ('{"model": {\n"type":', "line 2, is not JSON"),
        ('{"model": {"type": "BPE", "vocab": {}}}', "describes a BPE tokenizer"),
        ('{"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 2}}}', "without a gap"),
        ('{"model": {"type": "WordPiece", "vocab": {"a": 0}}}', "lacks the special tokens"),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(tmp_path, pipeline, sentence):
    (tmp_path / "tokenizer.json").write_text(pipeline)
    with pytest.raises(DataError, match=sentence):
        read_folder(tmp_path)


def test_options_come_from_tokenizer_json_where_the_config_is_silent(tmp_path):
    WordPieceTokenizer([*SPECIAL, *TEN], lowercase=False, split_chinese=False).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 8}))
    assert read_folder(tmp_path)[1] == Normalizer(False, None, False)


def test_the_fast_form_says_which_model_it_is():
    fast = WordPieceTokenizer([*SPECIAL, *TEN]).to_fast()
    assert isinstance(fast.model, models.WordPiece)
    assert fast.get_vocab_size() == 15
