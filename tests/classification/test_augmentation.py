"""Augmentation: what each operation may change, and what it must not."""

from collections import Counter

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM

from companion.classification.augmentation.augment import augment, delete_words, swap_neighbours
from companion.classification.augmentation.mask_filling import fill_masks
from companion.classification.augmentation.words import cut, glue, is_character, words_of
from companion.classification.encoders import shipped_tokenizer
from companion.errors import CheckpointError, NotFoundError, SettingsError

TEXTS = [
    "服务很好,下次还来",
    "The room was quiet, and well-kept.",
    "早餐 3G网络 very好",
    "a b c d e f",
]
ALPHABET = "很好差服务abcD 3 ,。!'-_’\u0301\t\n"
written = st.text(ALPHABET, max_size=30)


@given(written)
def test_cutting_and_gluing_is_the_same_text(text):
    gaps, units = cut(text)
    assert glue(gaps, units) == text and len(gaps) == len(units) + 1
    assert [unit for unit in units if unit in words_of(text)] == words_of(text)


def test_a_chinese_character_is_a_word_and_so_is_a_run_of_letters():
    assert words_of("3G网络 isn't 很well-kept!") == ["3G", "网", "络", "isn't", "很", "well-kept"]


@given(st.lists(written, max_size=5), st.floats(0.05, 0.95), st.integers(0, 9))
def test_swapping_keeps_the_words(texts, share, seed):
    for text, changed in zip(texts, swap_neighbours(texts, share=share, seed=seed), strict=True):
        assert Counter(words_of(changed)) == Counter(words_of(text))


@given(st.lists(written, max_size=5), st.floats(0.05, 0.95), st.integers(0, 9))
def test_deleting_leaves_words_in_order_and_at_least_one(texts, share, seed):
    for text, changed in zip(texts, delete_words(texts, share=share, seed=seed), strict=True):
        before, after = words_of(text), words_of(changed)
        assert bool(after) == bool(before)
        rest = iter(before)
        assert all(word in rest for word in after), "the words that stay keep their order"


def test_a_swap_exchanges_neighbours_within_a_clause():
    assert swap_neighbours(["好 bad"]) == ["bad 好"]
    assert swap_neighbours(["很好"]) == ["好很"]
    assert swap_neighbours(["好,bad"]) == ["好,bad"], "punctuation parts neighbours"


def test_words_do_not_melt_where_a_character_goes():
    # The middle word goes in some of these draws.
    found = delete_words(["ab很cd"] * 60, share=0.5, seed=1)
    assert "ab cd" in found and "abcd" not in found


def test_about_the_share_is_deleted():
    (changed,) = delete_words(["词 " * 4000], share=0.3)
    assert len(words_of(changed)) == pytest.approx(0.7 * 4000, rel=0.05)


@pytest.mark.parametrize("operation", [delete_words, swap_neighbours])
def test_the_seed_decides(operation):
    assert operation(TEXTS, seed=1) == operation(TEXTS, seed=1)
    assert len({tuple(operation(TEXTS, share=0.4, seed=seed)) for seed in range(8)}) > 2


@pytest.mark.parametrize("operation", [delete_words, swap_neighbours])
def test_nothing_to_change_in_empty_and_one_word_texts(operation):
    texts = ["", "  ", "好", "good", "!", "…… 好"]
    assert operation(texts, share=0.9) == texts


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_is_between_nothing_and_all(share):
    for operation in (delete_words, swap_neighbours, fill_masks):
        with pytest.raises(SettingsError, match="share of the words, between 0 and 1"):
            operation(["good"], share=share)


# Masks ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filler(tmp_path_factory) -> str:
    """A masked language model of random weights, with the shipped vocabulary."""
    folder = tmp_path_factory.mktemp("filler")
    tokenizer = shipped_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=24,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_guesses_take_the_places_of_words_and_nothing_else_moves(filler):
    for text, changed in zip(TEXTS, fill_masks(TEXTS, share=0.3, model=filler), strict=True):
        before, after = cut(text), cut(changed)
        assert before[0] == after[0], "gaps"
        pairs = list(zip(before[1], after[1], strict=True))
        different = [(old, new) for old, new in pairs if old != new]
        assert different, "one word at least is replaced by another"
        assert all(is_character(old) == is_character(new) for old, new in different)


def test_every_text_keeps_its_place_and_the_seed_decides(filler):
    texts = [*TEXTS, "", "!", "好"]
    first = fill_masks(texts, model=filler, seed=3, batch_size=2)
    assert first == fill_masks(texts, model=filler, seed=3, batch_size=64)
    assert first != fill_masks(texts, model=filler, seed=4)
    assert first[4:6] == ["", "!"] and is_character(first[6]) and first[6] != "好"


def test_what_lies_beyond_the_longest_input_is_left_alone(filler):
    text = "好" * 60
    (changed,) = fill_masks([text], share=0.9, model=filler)
    assert changed[22:] == text[22:] and changed[:22] != text[:22]


def test_the_shipped_model_fills_masks():
    """One character at least is hidden, and its best guess stands in its place."""
    text = "星期一,星期二,星期三,星期四,星期五。"
    (changed,) = fill_masks([text], share=0.01, candidates=1)
    assert sum(a != b for a, b in zip(text, changed, strict=True)) == 1


def test_a_model_without_the_head_is_refused(tiny_encoder):
    with pytest.raises(CheckpointError, match="cannot fill masks: its file lacks cls"):
        fill_masks(["好"], model=tiny_encoder)
    with pytest.raises(NotFoundError):
        fill_masks(["好"], model="nowhere/at-all")


# Data -------------------------------------------------------------------------------------------


@pytest.fixture
def data() -> DatasetDict:
    features = Features(
        {"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "id": Value("int32")}
    )
    rows = {"text": [*TEXTS, "好"], "label": [0, 1, 0, 1, 1], "id": [0, 1, 2, 3, 4]}
    train = Dataset.from_dict(rows, features=features)
    return DatasetDict({"train": train, "dev": train.select([0]), "test": train.select([1])})


def test_only_train_grows_and_labels_stay(data):
    found = augment(data, "swap", copies=2, seed=7)
    assert found["dev"].to_dict() == data["dev"].to_dict()
    assert found["test"].to_dict() == data["test"].to_dict()
    assert found["train"].features == data["train"].features
    rows = found["train"].to_dict()
    assert [rows[name][:5] for name in rows] == [data["train"][name][:] for name in rows]
    assert 4 < len(rows["text"]) - 5 + 1 <= 9, "up to two copies of four texts, none of one word"
    for text, label, number in list(zip(rows["text"], rows["label"], rows["id"], strict=True))[5:]:
        original = data["train"][number]
        assert label == original["label"] and text != original["text"]
        assert Counter(words_of(text)) == Counter(words_of(original["text"]))
    assert len(set(zip(rows["text"], rows["id"], strict=True))) == len(rows["text"])


def test_operations_take_turns(data, filler):
    found = augment(data, ["swap", "delete"], copies=2, share=0.4)["train"]["text"][5:]
    kept = [len(words_of(text)) for text in found]
    assert kept[:4] == [len(words_of(text)) for text in TEXTS] and sum(kept[4:]) < sum(kept[:4])
    assert len(augment(data, "fill", model=filler)["train"]) == 10


def test_without_dev_a_tenth_is_set_aside_before(easy_data):
    train = easy_data["train"]
    found = augment(train, "delete", share=0.2)
    originals = len(train) - len(found["dev"])
    assert len(found["dev"]) == pytest.approx(40, abs=6)
    assert set(found["train"]["text"][:originals]) | set(found["dev"]["text"]) == set(train["text"])
    assert originals < len(found["train"]) <= 2 * originals


@pytest.mark.parametrize(
    ("how", "copies", "sentence"),
    [
        ("translate", 1, "no augmentation translate. There are: delete, swap, fill"),
        ([], 1, "no augmentation named"),
        ("swap", 0, "copies is 0"),
    ],
)
def test_mistakes_are_sentences(data, how, copies, sentence):
    with pytest.raises(SettingsError, match=sentence):
        augment(data, how, copies=copies)
