"""`train_baseline`: one call for six methods, with the splits and refusals of `fine_tune`."""

import json
import subprocess
import sys

import pytest
from datasets import Dataset, DatasetDict

from companion.classification import BASELINES, Classifier, TextClassifier, train_baseline
from companion.classification.baselines.tfidf import TfidfClassifier
from companion.classification.result import Result
from companion.errors import DataError, SettingsError
from tests.fixtures import FEATURES

TINY = {
    "word-vectors": {"hidden_size": 4, "buckets": 64},
    "text-cnn": {"hidden_size": 4, "filters": 4},
    "bilstm": {"hidden_size": 4, "state_size": 4},
}


def settings(name):
    return {**TINY[name], "epochs": 1} if name in TINY else {}


def table(texts, labels):
    return Dataset.from_dict({"text": texts, "label": labels}).cast(FEATURES)


@pytest.mark.parametrize("name", BASELINES)
def test_three_rows_are_enough_to_run(name):
    data = table(["好", "bad one", "很好"], [1, 0, 1])
    classifier = train_baseline(name, data, progress=False, **settings(name))
    assert isinstance(classifier, TextClassifier)
    assert classifier.result.rows == {"train": 3} and classifier.result.dev is None
    assert "too few texts" in " ".join(classifier.result.notes)
    (prediction,) = classifier.predict("好")
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert classifier.predict([]) == []
    with pytest.raises(DataError, match=r"Text number 2 .* nothing to classify"):
        classifier.predict(["fine", " "])


@pytest.mark.parametrize("name", ["naive-bayes", "text-cnn"])
def test_one_class_is_refused(name):
    with pytest.raises(DataError, match="class"):
        train_baseline(name, Dataset.from_dict({"text": ["a b", "c d"], "label": ["x", "x"]}))
    if name == "naive-bayes":  # two names, but texts of only one of them
        with pytest.raises(DataError, match="all of one class"):
            train_baseline(name, table(["a b", "c d"], [1, 1]))


def test_a_name_or_setting_that_is_none():
    data = table(["a b", "c d"], [0, 1])
    with pytest.raises(SettingsError, match=r"no baseline 'svm'. There are: naive-bayes, logistic"):
        train_baseline("svm", data)
    with pytest.raises(SettingsError, match=r"linear-svm has no setting epochs. It has: grams"):
        train_baseline("linear-svm", data, epochs=3)


def test_the_held_out_tenth_is_that_of_fine_tune(easy_data, tmp_path):
    data = DatasetDict({"train": easy_data["train"], "test": easy_data["test"]})
    classifier = train_baseline("naive-bayes", data, out=tmp_path / "nb")
    assert classifier.result.rows == {"train": 360, "test": 80, "dev": 40}
    assert "held out as dev" in classifier.result.notes[0]
    metrics = json.loads((tmp_path / "nb" / "metrics.json").read_text("utf-8"))
    assert Result.from_dict(metrics).test.accuracy == classifier.result.test.accuracy > 0.95
    with pytest.raises(SettingsError, match="already holds a classifier"):
        train_baseline("naive-bayes", data, out=tmp_path / "nb")


def test_the_same_seed_gives_the_same_network_and_another_another(easy_data):
    def logits(seed):
        small = {**TINY["word-vectors"], "max_steps": 3, "seed": seed, "progress": False}
        return train_baseline("word-vectors", easy_data, **small).logits(["很好", "awful"])

    assert (logits(1) == logits(1)).all() and not (logits(1) == logits(2)).all()


def test_a_fresh_process_gives_the_same_predictions(easy_data, tmp_path):
    small = {**TINY["text-cnn"], "epochs": 1, "progress": False}
    ours = [
        train_baseline("linear-svm", easy_data, out=tmp_path / "linear-svm"),
        train_baseline("text-cnn", easy_data, out=tmp_path / "text-cnn", **small),
    ]
    texts = easy_data["test"]["text"][:20]
    code = (
        "import json, sys\n"
        "from companion.classification import load_classifier\n"
        "texts = json.loads(sys.argv[1])\n"
        "print(json.dumps([load_classifier(f).logits(texts).tolist() for f in sys.argv[2:]]))"
    )
    folders = [str(tmp_path / classifier.result.model) for classifier in ours]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(texts), *folders],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert theirs == [classifier.logits(texts).tolist() for classifier in ours]


def test_one_interface_for_all():
    """What is written once is not written again: only these differ."""
    for kind in (Classifier, TfidfClassifier):
        own = {name for name in ("predict", "evaluate", "label_indices") if name in vars(kind)}
        assert issubclass(kind, TextClassifier) and not own
