"""Normalisation, stage by stage, and the tables behind it."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.text import unicode_tables
from companion.text.normalize import (
    AlignedText,
    Normalizer,
    clean,
    decompose,
    lower_case,
    separate_chinese,
    split_words,
    strip_accents,
)
from tests.text.reference import BLOCK, LAST, OPTIONS, reference_words, unlike_blocks

TABLES = [
    unicode_tables.SPACES,
    unicode_tables.REMOVED,
    unicode_tables.CHINESE,
    unicode_tables.NONSPACING_MARKS,
    unicode_tables.PUNCTUATION,
    unicode_tables.INERT,
]
normalizers = st.sampled_from([Normalizer(**options) for options in OPTIONS])


def words(text: str, **options: bool) -> list[str]:
    return [word.text for word in Normalizer(**options).words(text)]


def test_cleaning_drops_control_characters_and_turns_white_space_into_blanks():
    cleaned = clean(AlignedText.of("a\x00b\tc\u3000d\ufffde\u200bf\ud83dg"))
    assert cleaned == AlignedText("ab c defg", [0, 2, 3, 4, 5, 6, 8, 10, 12])


def test_chinese_characters_are_set_apart_but_kana_and_hangul_are_not():
    assert separate_chinese(AlignedText.of("ah博推zz")).text == "ah 博  推 zz"
    assert separate_chinese(AlignedText.of("ひらカタ한국")).text == "ひらカタ한국"


def test_accents_are_stripped_and_letters_keep_their_place():
    assert strip_accents(AlignedText.of("áê\u0323ñ")) == AlignedText("aen", [0, 1, 3])


def test_marks_are_put_in_canonical_order_as_unicodedata_does():
    text = "a\u0301\u0323b\u0344\u0323"  # acute above, then dot below
    decomposed = decompose(AlignedText.of(text))
    assert decomposed.text == unicodedata.normalize("NFD", text)
    assert decomposed.origin == [0, 1, 2, 3, 4, 5, 5]


def test_lower_casing_may_lengthen_a_text_and_knows_no_final_sigma():
    assert lower_case(AlignedText.of("ΑΣ")).text == "ας".replace("ς", "σ")
    assert lower_case(AlignedText.of("İx")) == AlignedText("i\u0307x", [0, 0, 1])


def test_words_end_at_blanks_and_around_punctuation():
    assert [word.text for word in split_words(AlignedText.of("hi,there  ok!"))] == [
        "hi", ",", "there", "ok", "!",
    ]  # fmt: skip


def test_the_original_examples_of_bert_come_out_as_published():
    # google-research/bert, tokenization_test.py
    text = " \tHeLLo!how  \n Are yoU?  "
    assert words(text) == ["hello", "!", "how", "are", "you", "?"]
    assert words(text, lowercase=False) == ["HeLLo", "!", "how", "Are", "yoU", "?"]
    assert words("H\u00e9llo") == ["hello"]
    assert words("ah\u535a\u63a8zz") == ["ah", "博", "推", "zz"]


@pytest.mark.parametrize(
    "options", [{"lowercase": True}, {"lowercase": False, "split_chinese": False}]
)
def test_characters_of_all_of_unicode_become_the_same_words_as_in_the_reference(options):
    # All of planes 0 and 1; beyond, the blocks in which a table's range begins or ends, and their
    # neighbours. The proof goes through every block.
    ends = {code for ranges in TABLES for bounds in ranges for code in bounds if code > 0x1FFFF}
    borders = {code // BLOCK * BLOCK + step for code in ends for step in (-BLOCK, 0, BLOCK)}
    blocks = [*range(0, 0x20000, BLOCK), *sorted(block for block in borders if block <= LAST)]
    assert unlike_blocks(Normalizer(**options), blocks) == []


def test_every_combining_mark_is_ordered_as_in_the_reference():
    marks = unicode_tables.characters(unicode_tables.INERT) | {
        chr(code) for code in range(LAST + 1) if unicodedata.combining(chr(code))
    }
    normalizer = Normalizer(lowercase=False, strip_accents=True)
    # U+302E and U+1D165 are marks that stripping leaves, so their order stays visible.
    for text in (f"a\u302e{mark}\U0001d165\u302e" for mark in sorted(marks)):
        ours = [(word.text, word.span(0, len(word.text))) for word in normalizer.words(text)]
        assert ours == reference_words(normalizer, text), ascii(text)


@given(st.text(), normalizers)
def test_origins_never_decrease_and_lie_in_the_text(text, normalizer):
    origin = normalizer.normalize(text).origin
    assert all(a <= b for a, b in pairwise(origin))
    assert all(0 <= position < len(text) for position in origin)


@given(st.text(), normalizers)
def test_cutting_into_chunks_loses_nothing_and_changes_no_word(text, normalizer):
    chunks = normalizer.chunks().findall(text)
    assert "".join(chunks) == text
    alone = [word.text for chunk in chunks for word in normalizer.words(chunk)]
    assert alone == [word.text for word in normalizer.words(text)]


@given(st.text())
def test_lower_casing_normalisation_done_twice_is_done_once(text):
    normalizer = Normalizer()
    once = [word.text for word in normalizer.words(text)]
    assert [word.text for word in normalizer.words(" ".join(once))] == once
