"""`stratified_folds` and `cross_validate`: who is held out when, and what is scored."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.classification import evaluate_predictions, load_classifier
from companion.classification.augmentation.augment import augment
from companion.classification.tuning import cross_validation
from companion.classification.tuning.cross_validation import cross_validate
from companion.classification.tuning.folds import rare_classes, stratified_folds, with_class_labels
from companion.errors import DataError, SettingsError
from tests.fixtures import FEATURES, SETTINGS, texts_and_labels

QUICK = {**SETTINGS, "epochs": 1, "max_steps": 4, "batch_size": 16}
BAYES = {"progress": False}


# Folds ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=30, max_size=90),
    st.integers(2, 4),
    st.integers(0, 3),
)
def test_every_text_is_in_one_fold_and_its_copies_too(rows, folds, seed):
    texts = [f"text  {number}" if copy else f"text {number}" for number, copy in rows]
    labels = [number % 2 for number, _ in rows]
    if len({number for number, _ in rows}) < folds:
        return
    fold_of = stratified_folds(texts, labels, folds, seed=seed)
    assert fold_of.shape == (len(texts),) and set(fold_of) <= set(range(folds))
    of_text = {}
    for (number, _), fold in zip(rows, fold_of, strict=True):
        assert of_text.setdefault(number, fold) == fold


def test_folds_have_the_classes_in_the_proportions_of_the_whole():
    labels = [0] * 600 + [1] * 300 + [2] * 100
    texts = [f"text {i}" for i in range(1000)]
    fold_of = stratified_folds(texts, labels, 5)
    table = np.array(
        [np.bincount(np.array(labels)[fold_of == fold], minlength=3) for fold in range(5)]
    )
    assert (abs(table - [120, 60, 20]) <= 2).all()
    assert (fold_of != stratified_folds(texts, labels, 5, seed=1)).any(), "the seed decides"
    assert (fold_of == stratified_folds(texts, labels, 5)).all()


def test_what_cannot_be_cut_is_told():
    with pytest.raises(SettingsError, match="folds is 1"):
        stratified_folds(["a", "b"], [0, 1], 1)
    with pytest.raises(DataError, match="There are 2 distinct training texts, too few for 3"):
        stratified_folds(["a", "a ", "b"], [0, 0, 1], 3)
    with pytest.raises(DataError, match="No class has as many as 3 training texts"):
        stratified_folds(["a", "b", "c"], [0, 0, 1], 3)
    assert rare_classes([0] * 9 + [1], ["much", "little"], 5).endswith("lack: little (1).")
    assert rare_classes([0] * 9 + [1] * 9, ["a", "b"], 5) is None


def test_labels_as_text_become_classes_of_all_splits():
    data = DatasetDict({"train": Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})})
    data["dev"] = Dataset.from_dict({"text": ["c"], "label": ["y"]})
    found = with_class_labels(data)
    assert found["dev"].features["label"].names == ["x", "y"] and found["dev"]["label"][0] == 1
    data["dev"] = Dataset.from_dict({"text": ["c"], "label": ["z"]})
    with pytest.raises(DataError, match="labels z of dev are not in train"):
        with_class_labels(data)


# Cross-validation -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_data() -> DatasetDict:
    rows = texts_and_labels(60, seed=9)
    rows["text"][1], rows["label"][1] = rows["text"][0], rows["label"][0]  # a copy
    return DatasetDict({"train": Dataset.from_dict(rows, features=FEATURES)})


@pytest.fixture(scope="module")
def run(small_data, tiny_encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("folds") / "out"
    return cross_validate(tiny_encoder, small_data, 3, out=out, **QUICK), out


def test_each_prediction_is_that_of_the_model_that_has_not_seen_the_text(run, small_data):
    found, out = run
    texts = small_data["train"]["text"][:]
    assert found.logits.shape == (60, 2) and sorted(set(found.fold_of)) == [0, 1, 2]
    for fold in range(3):
        rows = np.flatnonzero(found.fold_of == fold)
        theirs = load_classifier(out / f"fold-{fold + 1}").logits([texts[i] for i in rows])
        assert torch.equal(found.logits[torch.from_numpy(rows)], theirs)
        metrics = json.loads((out / f"fold-{fold + 1}" / "metrics.json").read_text("utf-8"))
        used = metrics["rows"]
        assert used["train"] + used["dev"] + len(rows) == 60, "what chose weights is not scored"
        assert "test" not in used
    assert found.fold_of[0] == found.fold_of[1], "copies stay together"


def test_scores_are_those_of_the_pooled_predictions_and_of_the_folds(run, small_data):
    found, _ = run
    true = small_data["train"]["label"][:]
    expected = evaluate_predictions(true, found.predicted, ["差", "好"])
    assert found.evaluation.accuracy == expected.accuracy
    assert found.evaluation.accuracy_interval == expected.accuracy_interval
    assert sum(fold.count for fold in found.folds) == 60
    parts = [np.mean(found.predicted[found.fold_of == k] == found.true[found.fold_of == k])
             for k in range(3)]  # fmt: skip
    assert found.mean() == pytest.approx(np.mean(parts))
    assert found.spread() == pytest.approx(np.std(parts, ddof=1))
    assert "not independent" in " ".join(found.notes) and "Out of fold" in str(found)


def test_the_folder_is_the_ensemble_and_lists_every_row_once(run, small_data):
    found, out = run
    texts = small_data["train"]["text"][:5]
    assert torch.equal(load_classifier(out).logits(texts), found.ensemble.logits(texts))
    lines = (out / "out_of_fold.csv").read_text("utf-8").splitlines()
    assert lines[0] == "row,fold,label,predicted,probability_of_label"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(60))
    assert json.loads((out / "cross_validation.json").read_text("utf-8"))["mean"]


def test_a_finished_fold_is_not_run_again(small_data, tmp_path, monkeypatch):
    calls = []
    train = cross_validation.train_baseline

    def failing(*arguments, **options):
        calls.append(options["out"] and options["out"].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(cross_validation, "train_baseline", failing)
    with pytest.raises(KeyboardInterrupt):
        cross_validate("naive-bayes", small_data, 3, out=tmp_path / "a", **BAYES)
    with pytest.raises(SettingsError, match="already holds a cross-validation"):
        cross_validate("naive-bayes", small_data, 3, out=tmp_path / "a", **BAYES)
    with pytest.raises(SettingsError, match="folds was 3, now 4"):
        cross_validate("naive-bayes", small_data, 4, out=tmp_path / "a", resume=True, **BAYES)
    resumed = cross_validate(
        "naive-bayes", small_data, 3, out=tmp_path / "a", resume=True, **BAYES
    )  # fmt: skip
    assert calls == ["fold-1", "fold-2", "fold-2", "fold-3"]
    whole = cross_validate("naive-bayes", small_data, 3, **BAYES)
    assert torch.equal(resumed.logits, whole.logits)
    assert resumed.to_dict() == whole.to_dict()
    again = cross_validate("naive-bayes", small_data, 3, out=tmp_path / "a", resume=True, **BAYES)
    assert torch.equal(again.logits, whole.logits) and len(calls) == 7


def test_dev_chooses_and_test_is_not_looked_at(small_data, easy_data):
    nonsense = easy_data["test"].map(lambda row: {"label": 1 - row["label"]})
    data = DatasetDict({**small_data, "dev": easy_data["dev"]})
    found = cross_validate("naive-bayes", data, 3, **BAYES)
    with_test = cross_validate("naive-bayes", DatasetDict({**data, "test": nonsense}), 3, **BAYES)
    assert torch.equal(found.logits, with_test.logits)
    assert found.ensemble.members[0].result.rows["dev"] == 80


def test_each_fold_may_be_prepared_without_a_leak(small_data):
    seen = []

    def prepare(splits):
        larger = augment(splits, "swap")
        seen.append((len(splits["train"]), len(larger["train"]), list(splits)))
        return larger

    found = cross_validate("naive-bayes", small_data, 3, prepare=prepare, **BAYES)
    assert [names for *_, names in seen] == [["train"]] * 3
    assert all(large > small for small, large, _ in seen) and len(found.true) == 60
