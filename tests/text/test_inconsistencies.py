"""Where the reference tokenizers disagree with one another or with Unicode, and what ours does.

It follows the fast tokenizer, with which models are trained and served today.
"""

import unicodedata
from importlib import import_module

import pytest

from companion.text import WordPieceTokenizer
from companion.text.files import SPECIAL_TOKENS
from tests.text.reference import reference_tokenizer, same


def spell(text: str, **options: bool) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """Tokens of the slow tokenizer, tokens and offsets of the fast one, which ours equals."""
    letters = sorted(set("".join(char + char.lower() for char in text + "abcσς\u02d0")) - {" "})
    tokens = [*SPECIAL_TOKENS, *letters, *(f"##{char}" for char in letters)]
    ours = WordPieceTokenizer(tokens, **options)
    expected = reference_tokenizer(tokens, options).encode(text)
    assert same(ours.encode(text), expected)
    legacy = import_module("transformers.models.bert.tokenization_bert_legacy")
    basic = legacy.BasicTokenizer(
        options.get("lowercase", True), strip_accents=options.get("strip_accents")
    )
    pieces = legacy.WordpieceTokenizer(ours.vocab, "[UNK]")
    slow = [piece for word in basic.tokenize(text) for piece in pieces.tokenize(word)]
    return slow, expected.tokens[1:-1], expected.offsets[1:-1]


def test_256_rare_ideographs_are_no_chinese_characters_to_the_fast_tokenizer():
    # U+2B820 begins CJK Extension E; the fast one's range begins at 2B920, by a slip.
    slow, fast, _ = spell("a\U0002b820b")
    assert slow == ["a", "\U0002b820", "b"]
    assert fast == ["a", "##\U0002b820", "##b"]
    assert spell("a\U0002b920b")[1] == ["a", "\U0002b920", "b"]


def test_a_sigma_at_the_end_of_a_word_is_lower_cased_by_its_letter_alone():
    slow, fast, _ = spell("abΣ")
    assert slow == ["a", "##b", "##ς"]
    assert fast == ["a", "##b", "##σ"]


def test_marks_newer_than_unicode_8_are_kept_as_letters():
    mark = "\u1df6"  # combining kavyka above right, of Unicode 10
    assert unicodedata.category(mark) == "Mn"
    slow, fast, _ = spell(f"a{mark}b")
    assert slow == ["a", "##b"]
    assert fast == ["a", f"##{mark}", "##b"]


def test_punctuation_newer_than_unicode_8_does_not_split_a_word():
    mark = "\u2e4f"  # cornish verse divider, of Unicode 12
    assert unicodedata.category(mark) == "Po"
    slow, fast, _ = spell(f"a{mark}b")
    assert slow == ["a", mark, "b"]
    assert fast == ["a", f"##{mark}", "##b"]


def test_a_mark_that_canonical_order_moves_is_said_to_stand_where_it_went():
    # Canonical order puts U+1D165 (class 216) before U+302E (224). The fast tokenizer gives the
    # first place to the mark that now comes first, wherever that one stood.
    text = "a\u302e\U0001d165b"
    _, fast, offsets = spell(text, lowercase=False, strip_accents=True)
    assert fast == ["a", "##\U0001d165", "##\u302e", "##b"]
    assert offsets == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert text[slice(*offsets[1])] == "\u302e"


def test_lone_surrogates_are_refused_by_the_fast_tokenizer_and_removed_by_ours():
    tokens = [*SPECIAL_TOKENS, "a", "##b"]
    with pytest.raises((UnicodeEncodeError, TypeError)):
        reference_tokenizer(tokens, {}).encode("a\ud83db")
    encoding = WordPieceTokenizer(tokens).encode("a\ud83db")
    assert encoding.tokens[1:-1] == ["a", "##b"]
    assert encoding.offsets[1:-1] == [(0, 1), (2, 3)]


def test_a_special_token_in_a_text_is_the_token_itself_to_all_of_them():
    # Text from others can so end a segment or leave a mask; strip "[SEP]" where that matters.
    tokens = [*SPECIAL_TOKENS, "a"]
    assert WordPieceTokenizer(tokens).encode("a [SEP] a").ids == [2, 5, 3, 5, 3]
    assert reference_tokenizer(tokens, {}).encode("a [SEP] a").ids == [2, 5, 3, 5, 3]
