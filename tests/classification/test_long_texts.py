"""Long texts: what truncation keeps, what windows cover, what pooling makes of them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import softmax
from transformers import BertConfig, BertForSequenceClassification

from companion.classification import (
    Classifier,
    HierarchicalClassifier,
    WindowClassifier,
    fine_tune,
    fine_tune_windows,
    load_classifier,
)
from companion.classification.baselines.small_networks import TextCnn, TextCnnConfig
from companion.classification.encoders import label_settings, shipped_tokenizer
from companion.classification.long_texts.hierarchical import (
    HierarchicalModel,
    WindowPooling,
)
from companion.classification.long_texts.truncation import (
    TRUNCATIONS,
    special_ids,
    token_ids,
    truncate,
)
from companion.classification.long_texts.window_classifier import pool_windows
from companion.classification.long_texts.windows import (
    Cutter,
    WindowBatches,
    split_windows,
    window_starts,
)
from companion.errors import CheckpointError, SettingsError
from companion.training import TrainSettings, train
from tests.fixtures import BAD, FEATURES, GOOD

LABELS = ["差", "好"]
LONG = " ".join(["the room was lovely and the staff awful"] * 9)
TEXTS = ["lovely", "很差的酒店", LONG, LONG + " breakfast"]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Random weights, but large ones, so that texts get logits which differ; 16 tokens a text."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=16_000, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.5,
        **label_settings(LABELS),
    )  # fmt: skip
    return Classifier(BertForSequenceClassification(config), shipped_tokenizer(), max_length=16)


# Truncation


@given(st.integers(0, 60), st.integers(1, 30), st.sampled_from(TRUNCATIONS))
def test_what_is_kept_is_in_order_and_fills_the_room(length, room, strategy):
    kept = truncate(list(range(length)), room, strategy)
    assert len(kept) == min(length, room)
    assert list(kept) == sorted(set(kept))


def test_head_tail_and_both_of_ten_tokens():
    ids = list(range(10))
    assert truncate(ids, 4, "head") == [0, 1, 2, 3]
    assert truncate(ids, 4, "tail") == [6, 7, 8, 9]
    assert truncate(ids, 4, "head+tail") == [0, 7, 8, 9]
    assert truncate(np.array(ids), 1, "head+tail").tolist() == [9]


def test_of_510_tokens_sun_et_al_keep_the_first_128_and_the_last_382():
    kept = truncate(list(range(2000)), 510, "head+tail")
    assert abs(sum(i < 510 for i in kept) - 128) <= 1
    assert abs(sum(i >= 2000 - 510 for i in kept) - 382) <= 1


def test_an_unknown_truncation_is_refused(classifier):
    for call in (
        lambda: truncate([1, 2], 1, "middle"),
        lambda: Classifier(classifier.model, classifier.tokenizer, truncation="middle"),
        lambda: truncate([1, 2], 0),
    ):
        with pytest.raises(SettingsError, match=r"head|1 or more"):
            call()


def test_a_classifier_cuts_as_it_was_told_and_after_reloading_too(classifier, tmp_path):
    other = Classifier(
        classifier.model, classifier.tokenizer, max_length=16, truncation="head+tail"
    )
    before, after = special_ids(other.tokenizer)
    [whole] = token_ids(other.tokenizer, [LONG])
    expected = [*before, *whole[:3], *whole[-11:], *after]
    encoded = other.encode([LONG, "lovely"])
    assert encoded.input_ids[0].tolist() == expected
    assert encoded.truncated == 1
    again = Classifier.load(other.save(tmp_path / "both"))
    assert again.truncation == "head+tail" and again.max_length == 16
    assert torch.equal(again.logits(TEXTS), other.logits(TEXTS))
    assert Classifier.load(classifier.save(tmp_path / "head")).truncation == "head"


def test_texts_that_fit_are_encoded_as_ever(classifier):
    short = ["lovely", "很差的酒店"]
    plain = classifier.encode(short).input_ids
    for strategy in ("tail", "head+tail"):
        other = Classifier(
            classifier.model, classifier.tokenizer, max_length=16, truncation=strategy
        )
        for one, two in zip(plain, other.encode(short).input_ids, strict=True):
            assert one.tolist() == two.tolist()


# Windows


@given(st.integers(0, 400), st.integers(1, 40), st.data())
def test_windows_cover_every_token_and_overlap_as_asked(length, size, data):
    stride = data.draw(st.integers(0, size - 1))
    starts = window_starts(length, size, stride)
    windows = split_windows(np.arange(length), size, stride)
    assert set(np.concatenate(windows)) == set(range(length))
    assert all(len(window) == min(size, length) for window in windows)
    shared = [size - (b - a) for a, b in pairwise(starts)]
    assert all(found == stride for found in shared[:-1])
    assert all(stride <= found < size for found in shared[-1:])
    # No fewer windows would do: each new one brings at most size - stride tokens.
    assert len(windows) == 1 + max(0, -(-(length - size) // (size - stride)))


def test_impossible_windows_are_refused():
    for size, stride in ((0, 0), (8, 8), (8, -1)):
        with pytest.raises(SettingsError, match="share"):
            window_starts(100, size, stride)


def test_of_too_many_windows_the_first_the_last_and_some_between_are_read():
    cutter = Cutter(12, 2, ([101], [102]), max_windows=3)
    windows = cutter.windows(np.arange(1000))
    assert [window[1] for window in windows] == [0, 496, 990]
    assert all(window[0] == 101 and window[-1] == 102 for window in windows)


# Windows at prediction


def test_a_short_text_gets_the_logits_it_gets_without_windows(classifier):
    for pooling, of in (("mean", "logits"), ("max", "logits")):
        windowed = WindowClassifier(classifier, pooling=pooling, of=of)
        torch.testing.assert_close(
            windowed.logits(TEXTS[:2]), classifier.logits(TEXTS[:2]), atol=1e-2, rtol=1e-2
        )
    probabilities = softmax(WindowClassifier(classifier, of="probabilities").logits(TEXTS[:2]), -1)
    plain = softmax(classifier.logits(TEXTS[:2]), -1)
    torch.testing.assert_close(probabilities, plain, atol=1e-2, rtol=1e-2)


def test_pooling_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert pool_windows(logits).tolist() == [1.0, 0.5]
    assert pool_windows(logits, "max").tolist() == [2.0, 1.0]
    p, q = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1))
    mean = softmax(pool_windows(logits, of="probabilities"), -1)
    assert mean[0].item() == pytest.approx((p + q) / 2)
    best = softmax(pool_windows(logits, "max", "probabilities"), -1)
    assert best[0].item() == pytest.approx(p / (p + 1 - q))


def test_the_mean_of_a_long_text_is_the_mean_of_its_windows(classifier):
    windowed = WindowClassifier(classifier, stride=4)
    [ids] = windowed.token_ids([LONG])
    pieces = [classifier.tokenizer.decode(w) for w in split_windows(ids, 14, 4)]
    assert len(pieces) > 3
    by_hand = classifier.logits(pieces).mean(0)
    torch.testing.assert_close(windowed.logits([LONG])[0], by_hand, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_order_of_the_windows_changes_nothing(pooling):
    logits = torch.randn(7, 3)
    for of in ("logits", "probabilities"):
        torch.testing.assert_close(
            pool_windows(logits, pooling, of), pool_windows(logits[torch.randperm(7)], pooling, of)
        )


def test_windows_at_prediction_are_saved_and_loaded(classifier, tmp_path):
    windowed = WindowClassifier(classifier, stride=5, pooling="max", of="probabilities")
    again = load_classifier(windowed.save(tmp_path / "windows"))
    assert isinstance(again, WindowClassifier) and again.settings() == windowed.settings()
    assert torch.equal(again.logits(TEXTS), windowed.logits(TEXTS))
    assert again.predict(LONG) == windowed.predict(LONG)


def test_the_folder_opens_as_a_classifier_of_single_windows_too(classifier, tmp_path):
    folder = WindowClassifier(classifier).save(tmp_path / "windows")
    plain = Classifier.load(folder)
    assert torch.equal(plain.logits(TEXTS), classifier.logits(TEXTS))
    assert type(load_classifier(plain.save(tmp_path / "plain"))) is Classifier
    with pytest.raises(CheckpointError, match="load_classifier"):
        HierarchicalClassifier.load(folder)
    with pytest.raises(CheckpointError, match="load_classifier"):
        WindowClassifier.load(tmp_path / "plain")


def test_unknown_poolings_are_refused(classifier):
    with pytest.raises(SettingsError, match="pooling is 'attention'"):
        WindowClassifier(classifier, pooling="attention")
    with pytest.raises(SettingsError, match="pooling is 'median'"):
        HierarchicalClassifier(classifier, pooling="median")


# Pooling of vectors


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
def test_pooling_ignores_padding_and_the_order_of_windows(kind):
    torch.manual_seed(1)
    pool = WindowPooling(kind, 8)
    if kind == "attention":
        torch.nn.init.normal_(pool.query.weight)
    vectors, real = torch.randn(2, 5, 8), torch.tensor([[True] * 5, [True, True] + [False] * 3])
    texts, weights = pool(vectors, real)
    alone, _ = pool(vectors[1:, :2], real[1:, :2])
    torch.testing.assert_close(texts[1:], alone)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(pool(vectors[:, order], real[:, order])[0], texts)
    if weights is not None:
        torch.testing.assert_close(weights.sum(-1), torch.ones(2))
        assert (weights[~real] == 0).all() and (weights[real] > 0).all()


def test_attention_over_windows_by_hand():
    torch.manual_seed(1)
    pool = WindowPooling("attention", 4)
    torch.nn.init.normal_(pool.query.weight)
    h = torch.randn(3, 4)
    scores = [pool.query.weight[0] @ torch.tanh(pool.dense.weight @ v + pool.dense.bias) for v in h]
    a = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
    text, weights = pool(h[None], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(weights[0], a)
    torch.testing.assert_close(text[0], sum(a_k * v for a_k, v in zip(a, h, strict=True)))


def test_attention_begins_as_the_mean_and_the_mean_of_vectors_is_the_mean_of_logits(classifier):
    mean = HierarchicalClassifier(classifier, pooling="mean", stride=4)
    attention = HierarchicalClassifier(classifier, pooling="attention", stride=4)
    torch.testing.assert_close(mean.logits(TEXTS), attention.logits(TEXTS))
    pooled = WindowClassifier(classifier, stride=4).logits(TEXTS)
    torch.testing.assert_close(mean.logits(TEXTS), pooled, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_a_batch_gives_what_each_text_gives_alone(classifier, pooling):
    windowed = HierarchicalClassifier(classifier, pooling=pooling, stride=4)
    if pooling == "attention":
        torch.nn.init.normal_(windowed.model.pool.query.weight)
    ids = windowed.token_ids(TEXTS)
    source = WindowBatches(ids, [0, 1, 0, 1], cutter=windowed.cutter, batch_size=4, pad_token_id=0)
    batch = source.collate(range(4))
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    with torch.inference_mode():
        together = windowed.model(**batch)
        alone = torch.cat(
            [windowed.model(**source.collate([row])).logits.detach() for row in range(4)]
        )
    torch.testing.assert_close(together.logits, alone, atol=1e-5, rtol=1e-4)
    loss = torch.nn.functional.cross_entropy(alone, batch["labels"])
    torch.testing.assert_close(together.loss, loss)
    torch.testing.assert_close(windowed.logits(TEXTS), alone, atol=2e-2, rtol=2e-2)
    if pooling != "max":
        for row, weights in enumerate(windowed.weights(TEXTS)):
            assert len(weights) == len(windowed.cutter.windows(ids[row]))
            assert weights.sum().item() == pytest.approx(1)


def test_the_engine_trains_every_part(classifier):
    windowed = HierarchicalClassifier(classifier, stride=4)
    before = {name: p.detach().clone() for name, p in windowed.model.named_parameters()}
    source = WindowBatches(
        windowed.token_ids(TEXTS), [1, 0, 0, 1], cutter=windowed.cutter, batch_size=4,
        pad_token_id=0,
    )  # fmt: skip
    settings = TrainSettings(
        epochs=4, batch_size=4, learning_rate=1e-2, gradient_accumulation_steps=2, precision="fp32"
    )
    history = train(windowed.model, source, settings, progress=False)
    assert history.rows("train")[0]["tokens"] > 100
    moved = {
        name for name, p in windowed.model.named_parameters() if not torch.equal(p, before[name])
    }
    assert {"pool.query.weight", "pool.dense.weight", "model.classifier.weight"} <= moved
    classifier.model.load_state_dict({k[6:]: v for k, v in before.items() if k[:6] == "model."})


def test_a_model_without_one_vector_a_text_is_refused(classifier):
    network = TextCnn(TextCnnConfig(vocab_size=50, **label_settings(LABELS)))
    with pytest.raises(SettingsError, match="TextCnn has no vector"):
        HierarchicalModel(network)


# Training in one call


@pytest.fixture(scope="module")
def buried() -> DatasetDict:
    """One word decides, and it stands anywhere in a text of 40 to 80 tokens."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(240):
        words = rng.choice(["the", "room", "was", "a", "book", "staff"], rng.integers(40, 80))
        words[rng.integers(len(words))] = rng.choice((BAD, GOOD)[i % 2])
        rows.append({"text": " ".join(words), "label": i % 2})
    split = Dataset.from_list(rows, features=FEATURES)
    return DatasetDict({"train": split.select(range(180)), "test": split.select(range(180, 240))})


def test_it_learns_what_truncation_cannot_see_and_is_saved(buried, tiny_encoder, tmp_path):
    windowed = fine_tune_windows(
        tiny_encoder, buried, pooling="max", max_length=18, stride=2, out=tmp_path / "run",
        epochs=12, batch_size=16, learning_rate=5e-3, progress=False,
    )  # fmt: skip
    head = np.mean([any(w in GOOD + BAD for w in t.split()[:16]) for t in buried["test"]["text"]])
    assert windowed.result.test.accuracy > 0.5 + head / 2 + 0.1
    again = load_classifier(tmp_path / "run")
    texts = buried["test"]["text"][:8]
    assert isinstance(again, HierarchicalClassifier) and again.pooling == "max"
    assert torch.equal(again.logits(texts), windowed.logits(texts))
    assert (tmp_path / "run" / "metrics.json").is_file()
    with pytest.raises(SettingsError, match="already holds"):
        fine_tune_windows(tiny_encoder, buried, out=tmp_path / "run", progress=False)


@pytest.mark.parametrize(("truncation", "lost"), [("head", "end"), ("tail", "beginning")])
def test_what_truncation_keeps_decides_what_is_learned(tiny_encoder, truncation, lost, tmp_path):
    """The one word that decides stands at the end, after 30 others."""
    rows = [
        {"text": "the room was a book " * 6 + (BAD, GOOD)[i % 2][i % len(BAD)], "label": i % 2}
        for i in range(80)
    ]
    train_split = Dataset.from_list(rows, features=FEATURES)
    found = fine_tune(
        tiny_encoder, DatasetDict(train=train_split, test=train_split), truncation=truncation,
        max_length=8, epochs=6, batch_size=8, learning_rate=5e-3, progress=False, out=tmp_path,
    )  # fmt: skip
    assert found.result.test.accuracy == (0.5 if truncation == "head" else 1.0)
    assert f"their {lost} is not read" in " ".join(found.result.notes)
    assert found.result.settings["truncation"] == truncation
    assert load_classifier(tmp_path).truncation == truncation


def test_attention_is_saved_and_its_loss_is_told(classifier, tmp_path):
    windowed = HierarchicalClassifier(classifier, stride=4)
    torch.nn.init.normal_(windowed.model.pool.query.weight)
    folder = windowed.save(tmp_path / "attention")
    again = load_classifier(folder)
    assert torch.equal(again.logits(TEXTS), windowed.logits(TEXTS))
    (folder / "pooling.safetensors").unlink()
    with pytest.raises(CheckpointError, match="attention over windows"):
        load_classifier(folder)


def test_texts_of_one_token_and_of_20000(classifier):
    texts = ["好", "room " * 20_000]
    for windowed in (
        WindowClassifier(classifier, stride=2),
        HierarchicalClassifier(classifier, stride=2),
    ):
        logits = windowed.logits(texts)
        assert logits.shape == (2, 2) and torch.isfinite(logits).all()
        assert len(windowed.cutter.windows(windowed.token_ids(texts[1:])[0])) == 1667
    few = HierarchicalClassifier(classifier, stride=2, max_windows=4)
    assert few.weights(texts)[1].shape == (4,)
    assert WindowClassifier(classifier).predict(texts[0])[0].label in LABELS
