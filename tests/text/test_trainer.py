"""Training: by hand on a corpus of four words, and against the trainer of `tokenizers`."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import DataError, SettingsError
from companion.text import Normalizer, WordPieceTokenizer
from companion.text.coverage import measure_coverage
from companion.text.fast import train_fast
from companion.text.files import SPECIAL_TOKENS
from companion.text.trainer import count_words, train_wordpiece
from tests.text.test_reference import SAMPLE

# The corpus of Sennrich et al. 2016, section 3.2.
NEWEST = {"low": 5, "lower": 2, "newest": 6, "widest": 3}


def learned(word_counts: dict[str, int], count: int, **options) -> list[str]:
    """The first `count` joined tokens."""
    base = len(train_wordpiece(word_counts, 10**6, min_frequency=10**9))
    return train_wordpiece(word_counts, base + count, **options)[base:]


def test_the_most_frequent_pair_is_joined_first():
    # n(e s) = n(s t) = 9; then n(es t) = 9; then n(l o) = n(o w) = 7, and so on.
    assert learned(NEWEST, 4) == ["##es", "##est", "lo", "low"]


def test_by_likelihood_the_pair_that_is_rarely_seen_apart_is_joined_first():
    # n(w i)/(n(w) n(i)) = n(i d)/(n(i) n(d)) = 3/(3·3) are the largest: in "widest" these letters
    # stand only together. n(e s)/(n(e) n(s)) is 9/(17·9).
    assert learned(NEWEST, 2, score="likelihood") == ["wi", "wid"]


def test_a_pair_that_is_too_rare_is_never_joined():
    # Only n(e s), n(s t) and what they make reach 8.
    assert learned(NEWEST, 99, min_frequency=8) == ["##es", "##est"]


def test_overlapping_pairs_are_joined_from_the_left():
    # a ##a ##a ##a ##a, then a ##aa ##aa, then aaa ##aa: of two equal pairs the smaller ids.
    assert learned({"aaaaa": 2}, 9) == ["##aa", "aaa", "aaaaa"]


def test_special_tokens_and_characters_come_first():
    tokens = train_wordpiece({"ba": 1, "c": 1}, 99)
    assert tokens == [*SPECIAL_TOKENS, "a", "b", "c", "##a"]


def test_characters_beyond_the_limit_leave_their_words_unknown():
    tokens = train_wordpiece({"aa": 5, "ab": 4, "b": 1, "c": 1}, 99, limit_alphabet=1)
    assert tokens == [*SPECIAL_TOKENS, "a", "##a", "aa"]


def test_words_are_counted_after_normalisation():
    words = count_words(["Café, café!", "酒店cafe"], Normalizer())
    assert words == Counter({"cafe": 3, ",": 1, "!": 1, "酒": 1, "店": 1})


@pytest.mark.parametrize(
    ("words", "options", "sentence"),
    [
        ({}, {"vocab_size": 99}, "no words to train on"),
        ({"ab": 2}, {"vocab_size": 7}, "more than vocab_size = 7"),
        ({"ab": 2}, {"vocab_size": 99, "score": "pmi"}, "choose frequency or likelihood"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(words, options, sentence):
    with pytest.raises((DataError, SettingsError), match=sentence):
        train_wordpiece(words, **options)


def reference_vocabulary(texts: list[str], own: list[str]) -> list[str]:
    """What the library learns; its ties fall as ours when the characters have the same ids."""
    single = [token for token in own if len(token.removeprefix("##")) == 1]
    return train_fast(texts, len(own), Normalizer(), fixed=[*SPECIAL_TOKENS, *single])


@pytest.mark.parametrize("vocab_size", [3000, 4500])
def test_the_sample_gives_the_vocabulary_of_the_reference_token_by_token(vocab_size):
    own = WordPieceTokenizer.train(SAMPLE, vocab_size).tokens
    assert len(own) == vocab_size
    assert own == reference_vocabulary(SAMPLE, own)


@settings(max_examples=100)
@given(st.lists(st.text(alphabet="abcdé 的", max_size=12), min_size=1), st.integers(0, 30))
def test_any_corpus_gives_the_vocabulary_of_the_reference(texts, merges):
    words = count_words(texts, Normalizer())
    if words:
        base = len(train_wordpiece(words, 10**6, min_frequency=10**9))
        own = train_wordpiece(words, base + merges)
        assert own == reference_vocabulary(texts, own)


def test_on_unseen_texts_frequency_covers_as_the_reference_and_better_than_likelihood():
    train, unseen = SAMPLE[::2], SAMPLE[1::2]
    own = WordPieceTokenizer.train(train, 4000)
    # No ids given: ties between merges fall as they like in the library.
    library = WordPieceTokenizer(train_fast(train, 4000, Normalizer()))
    likelihood = WordPieceTokenizer.train(train, 4000, score="likelihood")
    ours, theirs = measure_coverage(own, unseen), measure_coverage(library, unseen)
    assert ours.unknown_rate == theirs.unknown_rate
    assert ours.tokens_per_text == pytest.approx(theirs.tokens_per_text, rel=0.005)
    assert ours.tokens_per_text < measure_coverage(likelihood, unseen).tokens_per_text


def test_a_vocabulary_trained_on_both_languages_knows_both():
    tokenizer = WordPieceTokenizer.train(SAMPLE, 4000)
    coverage = measure_coverage(tokenizer, SAMPLE)
    assert coverage.unknown == 0
    assert tokenizer.encode("the 酒店").tokens == ["[CLS]", "the", "酒", "店", "[SEP]"]
