"""Naive Bayes, logistic regression and the linear SVM against scikit-learn itself."""

import builtins

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from companion.classification import Classifier, load_classifier
from companion.classification.baselines.tfidf import (
    TfidfClassifier,
    best_scale,
    grams_for,
    jieba_words,
)
from companion.errors import CheckpointError, DataError, NotFoundError, SettingsError

METHODS = ["naive-bayes", "logistic-regression", "linear-svm"]
TOPICS = ["games", "law", "sport"]


@pytest.fixture(scope="module")
def three_classes():
    """Noisy texts of three classes, so that scores differ and none is perfect."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    targets = rng.integers(0, 3, 240)
    texts = []
    for target in targets:
        weights = np.ones(60)
        weights[20 * target : 20 * target + 20] = 2.5
        texts.append(" ".join(rng.choice(words, 8, p=weights / weights.sum())))
    return texts[:200], targets[:200].tolist(), texts[200:], targets[200:].tolist()


def reference(method, texts, targets):
    """The same, written with scikit-learn's classes alone."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")
    estimator = {
        "naive-bayes": MultinomialNB(alpha=0.3),
        "logistic-regression": LogisticRegression(C=10.0, max_iter=1000),
        "linear-svm": LinearSVC(random_state=0),
    }[method]
    return vectorizer, estimator.fit(vectorizer.fit_transform(texts), targets)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 3])
def test_labels_and_probabilities_are_those_of_scikit_learn(three_classes, method, classes):
    texts, targets, new, _ = three_classes
    kept = [i for i, target in enumerate(targets) if target < classes]
    texts, targets = [texts[i] for i in kept], [targets[i] for i in kept]
    ours = TfidfClassifier.fit(method, texts, targets, TOPICS[:classes])
    vectorizer, theirs = reference(method, texts, targets)
    x = vectorizer.transform(new)
    logits = ours.logits(new)
    assert logits.argmax(-1).tolist() == theirs.predict(x).tolist()
    if method == "linear-svm":
        margins = theirs.decision_function(x)
        wanted = margins if classes == 3 else np.stack([-margins, margins], 1) / 2
        np.testing.assert_allclose(logits.numpy(), wanted, atol=1e-5)
    else:
        found = np.array([list(p.probabilities.values()) for p in ours.predict(new)])
        np.testing.assert_allclose(found, theirs.predict_proba(x), atol=1e-5)


def test_a_class_without_texts_keeps_its_place_and_is_never_the_answer(three_classes):
    texts, targets, new, _ = three_classes
    moved = [2 if target else 0 for target in targets]  # nobody is of class 1
    for method in METHODS:
        ours = TfidfClassifier.fit(method, texts, moved, TOPICS)
        _, theirs = reference(method, texts, moved)
        assert set(ours.logits(new).argmax(-1).tolist()) <= set(theirs.classes_.tolist())
        assert ours.predict(new[0])[0].probabilities["law"] == 0


def test_the_scale_of_the_svm_changes_probabilities_and_no_label(three_classes):
    texts, targets, new, true = three_classes
    plain = TfidfClassifier.fit("linear-svm", texts, targets, TOPICS)
    half = len(new) // 2
    scaled = TfidfClassifier.fit(
        "linear-svm", texts, targets, TOPICS, held_out=(new[:half], true[:half])
    )
    assert torch.equal(plain.logits(new).argmax(-1), scaled.logits(new).argmax(-1))
    ratio = scaled.logits(new) / plain.logits(new)
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-3, atol=1e-3)

    def loss(classifier):
        return torch.nn.functional.cross_entropy(
            classifier.logits(new[:half]), torch.tensor(true[:half])
        )

    assert loss(scaled) < loss(plain)


def test_the_scale_is_found_again_in_drawn_labels():
    """Labels drawn from softmax(3 · margins) give about 3; where all are right, a bound holds."""
    generator = torch.Generator().manual_seed(0)
    margins = torch.randn(20_000, 3, generator=generator)
    true = torch.multinomial((3 * margins).softmax(-1), 1, generator=generator)[:, 0]
    assert best_scale(margins, true) == pytest.approx(3, rel=0.05)
    assert best_scale(margins, margins.argmax(-1)) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_opened_it_answers_the_same(three_classes, method, tmp_path):
    texts, targets, new, _ = three_classes
    ours = TfidfClassifier.fit(method, texts, targets, ["games", "法", "体育"])
    ours.save(tmp_path / "model")
    again = load_classifier(tmp_path / "model")
    assert again.labels == ("games", "法", "体育")
    assert torch.equal(again.logits(new), ours.logits(new))
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "vocabulary.json", "model.safetensors"}


def test_chinese_is_counted_by_characters_and_english_by_words():
    assert grams_for(["这家酒店很好", "房间 OK"]) == "characters"
    assert grams_for(["the room was fine", "a hotel named 北京"]) == "words"
    chinese = TfidfClassifier.fit("naive-bayes", ["很好", "太差"], [0, 1], ["好", "差"])
    assert chinese.grams == "characters"
    assert set(chinese.vectorizer.vocabulary_) == {"很", "好", "很好", "太", "差", "太差"}


def test_jieba_words_are_an_option(tmp_path):
    pytest.importorskip("jieba")
    assert jieba_words("酒店 位置") == ["酒店", "位置"]
    ours = TfidfClassifier.fit("naive-bayes", ["酒店很好", "早餐太差"], [0, 1], "ab", grams="jieba")
    assert "酒店" in ours.vectorizer.vocabulary_
    ours.save(tmp_path / "model")
    texts = ["酒店的早餐"]
    assert torch.equal(load_classifier(tmp_path / "model").logits(texts), ours.logits(texts))


def test_without_jieba_the_remedy_is_named(monkeypatch):
    real = builtins.__import__

    def without_jieba(name, *args, **kwargs):
        if name == "jieba":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_jieba)
    with pytest.raises(SettingsError, match=r"pip install jieba, or count grams=\"characters\""):
        TfidfClassifier.fit("naive-bayes", ["好", "差"], [0, 1], "ab", grams="jieba")


def test_a_text_of_unknown_words_gets_an_answer(three_classes):
    texts, targets, _, _ = three_classes
    ours = TfidfClassifier.fit("logistic-regression", texts, targets, TOPICS)
    assert ours.predict("nothing of this was ever read")[0].probability < 0.7


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"method": "svm"}, SettingsError, "There is no method 'svm'. There are: naive-bayes"),
        ({"grams": "bytes"}, SettingsError, "no grams 'bytes'. There are: auto, words"),
        ({"strength": 0}, SettingsError, "strength is 0; it must be above 0"),
        ({"targets": [1, 1]}, DataError, "all of one class"),
        ({"texts": ["!", "?"], "grams": "words"}, DataError, "No words can be counted"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(options, error, sentence):
    given = {"method": "naive-bayes", "texts": ["a b", "c d"], "targets": [0, 1], **options}
    with pytest.raises(error, match=sentence):
        TfidfClassifier.fit(labels=["no", "yes"], **given)


def test_a_damaged_folder_is_a_sentence(three_classes, tmp_path):
    texts, targets, _, _ = three_classes
    folder = TfidfClassifier.fit("naive-bayes", texts, targets, TOPICS).save(tmp_path / "model")
    with pytest.raises(
        CheckpointError, match=r"Open it with companion\.classification\.load_class"
    ):
        Classifier.load(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "weight": tensors["weight"][:-1].copy()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"weights of shape \(\d+, 3\) for \d+ grams"):
        load_classifier(folder)
    (folder / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_classifier(folder)
    with pytest.raises(NotFoundError, match="no such folder"):
        load_classifier(tmp_path / "nowhere")
