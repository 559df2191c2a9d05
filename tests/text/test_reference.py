"""Equality with the fast tokenizers of the Hugging Face libraries: ids, tokens, types, offsets."""

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer

import companion
from companion.errors import SettingsError
from companion.text import WordPieceTokenizer
from companion.text.files import read_vocabulary
from companion.text.sources import read_texts
from tests.text.reference import (
    MARKS,
    OPTIONS,
    differences,
    random_strings,
    readable,
    reference_tokenizer,
    same,
    spelling_vocabulary,
)

PACKAGE = Path(companion.__file__).parent
SHIPPED = PACKAGE / "assets" / "vocab.txt"
REAL_DATA = Path(os.environ.get("COMPANION_DATA", "none"))
CORPORA = [
    "chnsenticorp/dev.tsv:text_a",
    "thucnews-titles/dev.txt:1",
    "online-shopping/online_shopping_10_cats.csv:review",
    "sst2/dev.tsv:sentence",
    "imdb/test.parquet:text",
]


def sample_texts() -> list[str]:
    texts = []
    for path in sorted((PACKAGE / "data" / "sample").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return texts


SAMPLE = sample_texts()
RANDOM = list(random_strings(2000, seed=5))


@pytest.mark.parametrize("options", OPTIONS)
def test_the_shipped_sample_is_encoded_as_by_the_reference(options):
    assert len(SAMPLE) > 1000
    tokenizer = WordPieceTokenizer.from_vocab(SHIPPED, **options)
    reference = reference_tokenizer(tokenizer.tokens, options)
    assert differences(tokenizer, reference, SAMPLE) == []


@pytest.mark.parametrize("options", OPTIONS)
def test_random_strings_are_spelt_as_by_the_reference(options):
    tokens = spelling_vocabulary(RANDOM, options)
    tokenizer = WordPieceTokenizer(tokens, **options)
    assert differences(tokenizer, reference_tokenizer(tokens, options), RANDOM) == []


@settings(max_examples=300)
@given(st.text(st.one_of(st.characters(), st.sampled_from(MARKS), st.sampled_from("aé 的,[]"))))
def test_any_string_is_spelt_as_by_the_reference(text):
    tokens = spelling_vocabulary([text, "aé 的,[]"], {})
    tokenizer = WordPieceTokenizer(tokens)
    assert same(tokenizer.encode(text), reference_tokenizer(tokens, {}).encode(readable(text)))


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="COMPANION_DATA names no folder")
@pytest.mark.parametrize("vocabulary", ["bert-base-chinese", "bert-base-uncased"])
@pytest.mark.parametrize("corpus", CORPORA)
def test_real_texts_are_encoded_as_by_the_reference(corpus, vocabulary):
    tokenizer = WordPieceTokenizer.from_vocab(REAL_DATA / "vocab" / f"{vocabulary}.txt")
    reference = reference_tokenizer(tokenizer.tokens, {})
    texts = list(read_texts(str(REAL_DATA / corpus)))
    assert differences(tokenizer, reference, texts[:: len(texts) // 400]) == []


@settings(max_examples=300)
@given(
    st.sampled_from(SAMPLE),
    st.one_of(st.none(), st.sampled_from(SAMPLE)),
    st.integers(2, 80),
    st.sampled_from(["longest_first", "only_first", "only_second"]),
)
def test_texts_and_pairs_are_truncated_as_by_the_reference(text, pair, max_length, truncation):
    ours, reference = PAIR_TOKENIZERS
    special = 2 if pair is None else 3
    reference.enable_truncation(max(max_length, special), strategy=truncation)
    try:
        encoding = ours.encode(text, pair, max(max_length, special), truncation=truncation)
    except SettingsError:
        # The one difference: with no room at all the reference cuts both texts to nothing.
        if max_length > special:
            with pytest.raises(Exception, match=r"too short to respect|not provided"):
                reference.encode(text, pair)
    else:
        assert same(encoding, reference.encode(text, pair))


PAIR_TOKENIZERS = (
    WordPieceTokenizer.from_vocab(SHIPPED),
    reference_tokenizer(read_vocabulary(SHIPPED), {}),
)


@pytest.mark.parametrize("padding", ["longest", "max_length"])
def test_a_batch_of_pairs_is_padded_as_by_transformers(padding):
    ours = WordPieceTokenizer.from_folder(SHIPPED.parent)
    theirs = AutoTokenizer.from_pretrained(SHIPPED.parent)
    texts, pairs = SAMPLE[:64], SAMPLE[64:128]
    expected = theirs(
        texts, pairs, truncation=True, max_length=60, padding=padding, return_offsets_mapping=True
    )
    batch = ours.encode_batch(texts, pairs, 60, padding=padding)
    assert [encoding.ids for encoding in batch] == expected["input_ids"]
    assert [encoding.type_ids for encoding in batch] == expected["token_type_ids"]
    assert [encoding.attention_mask for encoding in batch] == expected["attention_mask"]
    assert [encoding.offsets for encoding in batch] == expected["offset_mapping"]


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_tokenizer_that_transformers_builds_from_a_vocabulary_agrees(lowercase):
    tokens = read_vocabulary(SHIPPED)
    theirs = BertTokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=lowercase
    )
    ours = WordPieceTokenizer(tokens, lowercase=lowercase)
    texts = [*SAMPLE[::10], *map(readable, RANDOM[::10])]
    assert [ours.encode(text).ids for text in texts] == theirs(texts)["input_ids"]


@given(st.lists(st.integers(0, 15_999), max_size=30), st.booleans())
def test_any_ids_are_decoded_as_by_the_reference(ids, skip):
    ours, reference = PAIR_TOKENIZERS
    assert ours.decode(ids, skip) == reference.decode(ids, skip)


@given(st.sampled_from(RANDOM))
def test_the_fast_form_of_a_tokenizer_agrees_with_it(text):
    assert same(PAIR_TOKENIZERS[0].encode(text), FAST.encode(readable(text)))


FAST = PAIR_TOKENIZERS[0].to_fast()
