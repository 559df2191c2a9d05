"""`compare`: one split for all, measured rows, honest differences, advice from the numbers."""

import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from companion.classification import compare, load_classifier
from companion.classification.baselines.training import BASELINES
from companion.classification.comparison.compare import comparison_splits, held_out_fifth
from companion.classification.comparison.paired import mcnemar
from companion.classification.comparison.plot import comparison_plot
from companion.classification.comparison.table import Candidate, Comparison
from companion.classification.metrics import evaluate_predictions
from companion.data import load_dataset
from companion.errors import DataError, SettingsError, TrainingError
from tests.fixtures import FEATURES

TINY = {
    "word-vectors": {"hidden_size": 4, "buckets": 64, "epochs": 2},
    "text-cnn": {"hidden_size": 4, "filters": 4, "epochs": 1},
    "bilstm": {"hidden_size": 4, "state_size": 4, "epochs": 1},
}


@pytest.mark.parametrize("sample", ["sample-en", "sample-zh"])
def test_the_shipped_samples_from_end_to_end(sample, tmp_path):
    models = BASELINES if sample == "sample-zh" else BASELINES[:4]
    result = compare(sample, models, out=tmp_path, settings=TINY, progress=False)
    assert [c.model for c in result.candidates] == list(models)
    test = load_dataset(sample)["test"]
    for candidate in result.candidates:
        assert candidate.failure is None
        assert candidate.train_seconds > 0 and candidate.texts_per_second > 0
        # The saved model is the one that was scored, and has the size that was said.
        again = load_classifier(tmp_path / "models" / candidate.model)
        assert again.logits(test["text"][:]).argmax(-1).tolist() == list(candidate.predicted)
        files = (tmp_path / "models" / candidate.model).iterdir()
        kept = {"config.json", "vocabulary.json", "model.safetensors"}
        kept |= {"tokenizer.json", "tokenizer_config.json"}
        assert candidate.disk_bytes == sum(p.stat().st_size for p in files if p.name in kept)
    right = {c.model: np.equal(c.predicted, test["label"][:]) for c in result.candidates}
    assert result.best.scores.accuracy == max(r.mean() for r in right.values())
    for name, difference in result.differences.items():
        assert difference.p >= mcnemar(right[result.best.model], right[name])
    saved = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert saved["advice"] == result.advice() and result.best.model in saved["advice"]
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


def test_a_failing_candidate_is_a_row_and_a_stopped_comparison_goes_on(easy_data, tmp_path):
    models = ["naive-bayes", "nobody/nothing", "linear-svm"]
    options = {"out": tmp_path / "out", "progress": False}
    hopeless = {"linear-svm": {"strength": -1.0}}
    first = compare(easy_data, models, settings=hopeless, **options)
    assert [bool(c.failure) for c in first.candidates] == [False, True, True]
    assert first.candidates[2].failure.startswith("SettingsError: strength is -1.0")
    assert first.table()[-1]["failure"] and len(first.ranking) == 1
    assert first.advice().startswith("Only naive-bayes has a result")
    with pytest.raises(SettingsError, match="already holds a comparison"):
        compare(easy_data, models, **options)
    again = compare(easy_data, models, resume=True, **options)
    done, kept = (c.candidates[0].to_dict() for c in (first, again))
    assert done == kept, "what is finished is not done again, or its seconds would differ"
    assert again.candidates[2].failure is None
    with pytest.raises(SettingsError, match="on other data, or with another seed"):
        compare(easy_data, models, resume=True, seed=7, **options)


def test_when_everything_fails_every_reason_is_told(easy_data):
    bad = {"naive-bayes": {"grams": "bytes"}, "linear-svm": {"epochs": 3}}
    with pytest.raises(TrainingError, match=r"naive-bayes: .*no grams 'bytes'.*linear-svm: .*epoc"):
        compare(easy_data, list(bad), settings=bad, progress=False)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["linear-smv"], "no model 'linear-smv'. Did you mean 'linear-svm'"),
        (["linear-svm", "linear-svm"], "named twice"),
        ([], "Name a model to compare, such as naive-bayes"),
    ],
)
def test_a_typing_error_is_told_before_any_training(models, sentence):
    with pytest.raises(SettingsError, match=sentence):
        compare("no such data, and nobody looks", models)


# Which texts ------------------------------------------------------------------------------------


def test_dev_that_gives_the_scores_chooses_nothing(easy_data):
    data = DatasetDict({"train": easy_data["train"], "dev": easy_data["dev"]})
    splits, scored, notes = comparison_splits(data, None, True, seed=1)
    assert scored == "dev" and splits["test"]["text"][:] == easy_data["dev"]["text"][:]
    assert len(splits["train"]) + len(splits["dev"]) == 400 and 35 < len(splits["dev"]) < 45
    assert "held out as dev" in notes[-1]
    splits, scored, _ = comparison_splits(easy_data, None, True, seed=1)
    assert scored == "test" and splits["dev"]["text"][:] == easy_data["dev"]["text"][:]
    with pytest.raises(DataError, match="no split 'train' to score; there is dev and test"):
        comparison_splits(easy_data, "train", True, seed=1)


def test_texts_that_training_has_seen_give_no_score(easy_data):
    leaked = Dataset.from_dict(
        {
            "text": [*easy_data["train"]["text"][:30], "an unseen text"],
            "label": [*easy_data["train"]["label"][:30], 1],
        }
    ).cast(FEATURES)
    data = DatasetDict({**easy_data, "test": leaked})
    splits, _, notes = comparison_splits(data, None, False, seed=1)
    assert splits["test"]["text"][:] == ["an unseen text"]
    assert notes == ["30 test texts are also in train: they give no score."]
    assert len(comparison_splits(data, None, True, seed=1)[0]["test"]) == 31
    with pytest.raises(DataError, match="nothing to score"):
        comparison_splits(
            DatasetDict({**data, "test": leaked.select(range(30))}), None, False, seed=1
        )


def test_without_a_test_split_a_fifth_is_held_out():
    text = [f"text {i // 2}" for i in range(800)]  # each text twice
    data = Dataset.from_dict({"text": text, "label": [i // 2 % 2 for i in range(800)]})
    train, test = held_out_fifth(data.cast(FEATURES), seed=3)
    assert len(train) + len(test) == 800 and 140 < len(test) < 160
    assert not set(train["text"]) & set(test["text"])
    assert abs(sum(test["label"]) / len(test) - 0.5) < 0.02
    with pytest.raises(DataError, match="4 texts are too few"):
        held_out_fifth(data.cast(FEATURES).select(range(4)), seed=3)


# What it says -----------------------------------------------------------------------------------


def comparison(**rows: tuple[int, float, int]) -> Comparison:
    """Models by (texts right of 1000, texts a second, bytes); the right ones come first."""
    true = np.zeros(1000, dtype=int)
    candidates = []
    for name, (right, speed, size) in rows.items():
        predicted = (np.arange(1000) >= right).astype(int)
        candidates.append(
            Candidate(
                model=name,
                evaluation=evaluate_predictions(true, predicted, ["a", "b"], samples=50),
                predicted=tuple(predicted.tolist()),
                train_seconds=1.0,
                texts_per_second=speed,
                disk_bytes=size,
            )
        )
    return Comparison(tuple(candidates), tuple(true.tolist()), {"train": 9}, "test", "cpu")


def test_the_advice_is_computed_from_the_table():
    clear = comparison(large=(950, 100.0, 30_000_000), quick=(900, 5000.0, 3_000_000))
    assert clear.advice() == (
        "For accuracy take large (95.0%); for speed take quick, 50 times as fast for 5.0 points "
        "of accuracy; for size take quick, 10 times as small for 5.0 points of accuracy."
    )
    tie = comparison(
        large=(950, 100.0, 30_000_000), quick=(948, 500.0, 20_000_000), small=(800, 9e4, 1000)
    )
    assert [c.model for c in tie.ties] == ["quick"]
    assert tie.advice() == (
        "For accuracy take large (95.0%), though 1,000 texts cannot tell quick from it; for speed "
        "take quick, 5.0 times as fast and its 0.2 points less may be luck; for size take quick, "
        "1.5 times as small and its 0.2 points less may be luck."
    )
    winner = comparison(best=(950, 900.0, 1000), other=(900, 850.0, 3000))
    assert winner.advice() == (
        "For accuracy take best (95.0%); for speed nothing else is better; for size nothing else "
        "is better."
    )


def test_the_table_is_sorted_and_survives_json():
    result = comparison(low=(900, 10.0, 10), high=(950, 10.0, 10))
    assert [row["model"] for row in result.table()] == ["high", "low"]
    low = result.table()[1]
    assert low["behind_best"] == pytest.approx(0.05) and low["real"] is True
    assert low["behind_interval"][0] <= 0.05 <= low["behind_interval"][1]
    assert list(result.to_frame().index) == ["high", "low"]
    row = json.loads(json.dumps(result.candidates[0].to_dict()))
    again = Candidate.from_dict(row)
    assert again.predicted == result.candidates[0].predicted
    assert again.scores.accuracy == 0.9


def test_the_plot_shows_every_model_with_its_size():
    result = comparison(low=(900, 10.0, 2_000_000), high=(950, 10.0, 30_000_000))
    figure = comparison_plot(result)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["high (30.0 MB)", "low (2.0 MB)"]
    left, right = figure.axes
    assert left.get_xlabel() == "texts a second" and right.get_xlabel() == "seconds"
    sizes = [points.get_sizes()[0] for points in left.collections if hasattr(points, "get_sizes")]
    assert max(sizes) > min(s for s in sizes if s)
