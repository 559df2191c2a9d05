"""Encoding, decoding, pairs, truncation and padding, on vocabularies small enough to read."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import DataError, SettingsError
from companion.text import WordPieceTokenizer
from companion.text.encoding import kept_lengths
from companion.text.wordpiece import longest_match

# The ten tokens of google-research/bert's tokenization_test.py, behind the five special ones.
TEN = ["want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "博", "推"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def ten() -> WordPieceTokenizer:
    return WordPieceTokenizer([*SPECIAL, *TEN])


def pieces(tokenizer: WordPieceTokenizer, text: str) -> list[str]:
    return tokenizer.encode(text, add_special_tokens=False).tokens


def test_the_longest_piece_is_taken_first():
    vocab = {token: i for i, token in enumerate(["a", "ab", "##b", "##c", "##bc"])}
    assert longest_match("abc", vocab, 2) == [(1, 0, 2), (3, 2, 3)]
    assert longest_match("ac", vocab, 2) == [(0, 0, 1), (3, 1, 2)]


def test_a_word_that_cannot_be_cut_to_its_end_has_no_pieces():
    # "ab" is taken although "a" + "##bd" would have worked: the match is greedy.
    assert longest_match("abd", {"a": 0, "ab": 1, "##bd": 2}, 2) == []


def test_the_example_of_bert_is_cut_as_published(ten):
    encoding = ten.encode("UNwant\u00e9d,running", add_special_tokens=False)
    assert encoding.tokens == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert encoding.ids == [9, 6, 7, 12, 10, 11]
    assert encoding.offsets == [(0, 2), (2, 6), (6, 8), (8, 9), (9, 13), (13, 16)]


def test_empty_and_blank_texts_have_no_pieces(ten):
    assert pieces(ten, "") == pieces(ten, " \t\u3000\n") == pieces(ten, "\x00\u200b") == []


def test_an_unknown_word_is_one_token_that_covers_it(ten):
    encoding = ten.encode("unwantedX running", add_special_tokens=False)
    assert encoding.tokens == ["[UNK]", "runn", "##ing"]
    assert encoding.offsets == [(0, 9), (10, 14), (14, 17)]


def test_chinese_characters_are_tokens_of_their_own(ten):
    encoding = ten.encode("un博推want", add_special_tokens=False)
    assert encoding.tokens == ["un", "博", "推", "want"]
    assert encoding.offsets == [(0, 2), (2, 3), (3, 4), (4, 8)]


def test_words_of_more_than_a_hundred_characters_are_unknown():
    tokenizer = WordPieceTokenizer([*SPECIAL, "a", "##a"])
    assert len(pieces(tokenizer, "a" * 100)) == 100
    assert pieces(tokenizer, "a" * 101) == ["[UNK]"]


def test_special_tokens_stand_around_one_text_and_between_two(ten):
    one = ten.encode("want")
    assert one.tokens == ["[CLS]", "want", "[SEP]"]
    assert one.offsets == [(0, 0), (0, 4), (0, 0)]
    two = ten.encode("want", "running")
    assert two.tokens == ["[CLS]", "want", "[SEP]", "runn", "##ing", "[SEP]"]
    assert two.type_ids == [0, 0, 0, 1, 1, 1]
    assert two.offsets == [(0, 0), (0, 4), (0, 0), (0, 4), (4, 7), (0, 0)]
    assert two.attention_mask == [1] * 6


def test_a_special_token_spelt_out_in_a_text_becomes_that_token(ten):
    encoding = ten.encode("un [MASK]ing[mask]", add_special_tokens=False)
    assert encoding.tokens[:2] == ["un", "[MASK]"]
    assert encoding.offsets[1] == (3, 9)
    assert "[MASK]" not in encoding.tokens[2:]  # lower case is not the token


def test_without_lower_casing_capitals_stay():
    tokenizer = WordPieceTokenizer([*SPECIAL, "want", "Want"], lowercase=False)
    assert pieces(tokenizer, "Want want WANT") == ["Want", "want", "[UNK]"]


@pytest.mark.parametrize(
    ("first", "second", "room", "expected"),
    [
        (2, 4, 6, (2, 4)),  # enough room
        (2, 8, 7, (2, 5)),  # the longer one gives
        (8, 2, 7, (5, 2)),
        (4, 8, 7, (3, 4)),  # both give; the odd token stays with the longer
        (8, 4, 7, (4, 3)),
        (8, 8, 7, (3, 4)),
        (9, 0, 5, (5, 0)),
        (3, 3, 0, (0, 0)),
    ],
)
def test_longest_first_takes_from_the_longer_text(first, second, room, expected):
    assert kept_lengths(first, second, room) == expected


def test_one_text_alone_can_be_cut():
    assert kept_lengths(8, 4, 7, "only_first") == (3, 4)
    assert kept_lengths(8, 4, 9, "only_second") == (8, 1)


@pytest.mark.parametrize(
    ("first", "second", "room", "strategy"),
    [(3, 8, 7, "only_first"), (8, 3, 7, "only_second"), (9, 0, 5, "only_second")],
)
def test_a_text_too_short_to_give_enough_is_an_error(first, second, room, strategy):
    with pytest.raises(SettingsError, match="longest_first or a larger max_length"):
        kept_lengths(first, second, room, strategy)


def test_max_length_counts_the_special_tokens(ten):
    assert ten.encode("want un wa", max_length=4).tokens == ["[CLS]", "want", "un", "[SEP]"]
    cut = ten.encode("want un wa", "博推", max_length=6)
    assert cut.tokens == ["[CLS]", "want", "un", "[SEP]", "博", "[SEP]"]
    assert ten.encode("want", max_length=2).tokens == ["[CLS]", "[SEP]"]


def test_a_batch_is_padded_to_its_longest_or_to_a_number(ten):
    short, long = ten.encode_batch(["want", "un wa want"], padding="longest")
    assert short.tokens == ["[CLS]", "want", "[SEP]", "[PAD]", "[PAD]"]
    assert short.attention_mask == [1, 1, 1, 0, 0]
    assert (len(short), len(long)) == (5, 5)
    fixed = ten.encode_batch(["want", "un wa want"], max_length=4, padding="max_length")
    assert [len(encoding) for encoding in fixed] == [4, 4]
    assert [len(encoding) for encoding in ten.encode_batch(["want", "un wa"])] == [3, 4]
    assert ten.encode_batch([], padding="longest") == []


def test_pairs_are_encoded_in_a_batch_as_one_by_one(ten):
    texts, pairs = ["want", "un wa"], ["博", "推 推"]
    expected = [ten.encode(text, pair) for text, pair in zip(texts, pairs, strict=True)]
    assert ten.encode_batch(texts, pairs) == expected


def test_decoding_joins_pieces_and_attaches_punctuation(ten):
    assert ten.decode(ten.encode("unwanted , running 博推").ids) == "unwanted, running 博 推"
    assert ten.decode([2, 5, 3], skip_special_tokens=False) == "[CLS] want [SEP]"
    assert ten.decode([]) == ""


def test_a_tokenizer_sent_to_another_process_encodes_the_same(ten):
    copy = pickle.loads(pickle.dumps(ten))
    assert copy.encode("unwanted 博", "wa") == ten.encode("unwanted 博", "wa")


def test_what_is_remembered_stays_bounded_and_changes_nothing(ten):
    ten._pieces._limit = 3
    texts = ["want", "un", "wa", "runn", "博", "want", "推"]
    assert [ten.encode(text).ids[1:-1] for text in texts] == [[5], [9], [8], [10], [13], [5], [14]]
    assert len(ten._pieces) <= 3


@given(st.text(alphabet="unwaterig ,博推é[]MASK\x00\u0301"))
def test_every_offset_quotes_the_text_its_piece_came_from(text):
    tokenizer = WordPieceTokenizer([*SPECIAL, *TEN])
    encoding = tokenizer.encode(text, add_special_tokens=False)
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        if token not in SPECIAL:
            normalised = tokenizer.normalizer.normalize(text[start:end]).text.strip()
            assert normalised == token.removeprefix("##")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda t: t.encode(None), "must be a string, but None is a NoneType"),
        (lambda t: t.encode("want", float("nan")), "must be a string, but nan is a float"),
        (lambda t: t.encode_batch("want"), "not one string"),
        (lambda t: t.encode_batch(["want"], ["un", "wa"]), "There are 1 texts but 2 second texts"),
        (lambda t: t.decode([15]), "ids run from 0 to 14"),
        (lambda t: t.encode("want", max_length=1), "must be at least 2"),
        (lambda t: t.encode("want", "un", max_length=2), "must be at least 3"),
        (lambda t: t.encode("want", max_length=2, truncation="first"), "no truncation strategy"),
        (lambda t: t.encode_batch(["want"], padding="max_length"), "together with a number"),
        (lambda t: WordPieceTokenizer.train("want", 99), "not one string"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(ten, call, sentence):
    with pytest.raises((DataError, SettingsError), match=sentence):
        call(ten)
