"""`search`: the budget, the median, resuming, and a test split that nobody looks at."""

import json
import shlex
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset, DatasetDict

from companion.classification import load_classifier
from companion.classification.fine_tune import default_learning_rate, fine_tune
from companion.classification.tuning import search as searching
from companion.classification.tuning.search import search
from companion.classification.tuning.search_result import Search, Trial
from companion.classification.tuning.search_space import (
    Span,
    default_space,
    defaults_of_fine_tune,
    nearest_point,
    tidy,
    usual_settings,
)
from companion.errors import DataError, SettingsError, TrainingError
from tests.fixtures import FEATURES, texts_and_labels

SPACE = {"learning_rate": Span(1e-4, 1e-2, log=True), "batch_size": (8, 16), "epochs": (2,)}
FIXED = {"max_length": 16, "progress": False, "space": SPACE}


@pytest.fixture(scope="module")
def small_data() -> DatasetDict:
    return DatasetDict(
        {
            name: Dataset.from_dict(texts_and_labels(count, seed), features=FEATURES)
            for name, count, seed in (("train", 48, 1), ("dev", 24, 2), ("test", 24, 3))
        }
    )


@pytest.fixture(scope="module")
def run(small_data, tiny_encoder, tmp_path_factory) -> tuple[Search, "object"]:
    out = tmp_path_factory.mktemp("search") / "out"
    return search(tiny_encoder, small_data, 60, trials=3, out=out, **FIXED), out


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock takes a second."""

    class Clock:
        seconds = 0.0

        def __call__(self) -> float:
            self.seconds += 1
            return self.seconds

    ticking = Clock()
    monkeypatch.setattr(searching, "now", ticking)
    return ticking


def test_the_first_trial_has_the_defaults_and_the_best_is_no_worse(run):
    found, _ = run
    assert found.trials[0].settings == {"learning_rate": 3e-4, "batch_size": 8, "epochs": 2}
    assert [trial.number for trial in found.trials] == [0, 1, 2]
    complete = [trial for trial in found.trials if trial.dev is not None]
    assert found.score(found.best) == max(trial.dev.accuracy for trial in complete)
    assert all(len(trial.curve) == 2 for trial in complete)
    for trial in found.trials:
        assert 1e-4 <= trial.settings["learning_rate"] <= 1e-2
        assert trial.settings["batch_size"] in (8, 16)


def test_a_trial_is_an_ordinary_fine_tuning(run, small_data, tiny_encoder):
    found, _ = run
    again = fine_tune(tiny_encoder, small_data, progress=False, **found.settings)
    assert again.result.dev.to_dict() == found.best.dev.to_dict()


def test_it_leaves_the_best_classifier_a_table_a_plot_and_a_command(run, small_data):
    found, out = run
    names = {path.name for path in out.iterdir()}
    assert names == {"search.json", "trials.csv", "search.png", "best.json", "best"}
    score = load_classifier(out / "best").evaluate(small_data["dev"])
    assert score.to_dict() == found.best.dev.to_dict()
    best = json.loads((out / "best.json").read_text("utf-8"))
    words = shlex.split(best["command"])
    assert words[:3] == ["companion", "train", "DATA"]
    flags = dict(zip(words[3::2], words[4::2], strict=True))
    assert float(flags["--learning-rate"]) == found.best.settings["learning_rate"]
    assert flags["--max-length"] == "16" and flags["--seed"] == "42"
    assert len((out / "trials.csv").read_text().splitlines()) == 4
    assert "too high on average" in best["advice"]


def test_it_goes_on_where_it_stopped(run, small_data, tiny_encoder):
    found, out = run
    with pytest.raises(SettingsError, match="already holds a search"):
        search(tiny_encoder, small_data, 60, trials=4, out=out, **FIXED)
    with pytest.raises(SettingsError, match="metric was accuracy, now macro_f1"):
        search(tiny_encoder, small_data, 60, metric="macro_f1", out=out, resume=True, **FIXED)
    more = search(tiny_encoder, small_data, 60, trials=4, out=out, resume=True, **FIXED)
    before, after = ([trial.to_dict() for trial in s.trials] for s in (found, more))
    assert after[:3] == before and len(after) == 4
    assert more.trials[3].settings != found.trials[1].settings, "it does not repeat itself"
    assert more.trials[3].ended > found.trials[2].ended


def test_the_test_split_changes_nothing(run, small_data, tiny_encoder):
    nonsense = Dataset.from_dict({"text": ["?"] * 9, "label": ["neither"] * 9})
    data = DatasetDict({**small_data, "test": nonsense})
    found = search(tiny_encoder, data, 60, trials=2, **FIXED)
    for ours, theirs in zip(found.trials, run[0].trials[:2], strict=True):
        assert ours.settings == theirs.settings and ours.curve == theirs.curve
        assert ours.dev.to_dict() == theirs.dev.to_dict()


def test_the_budget_ends_it_in_the_middle_of_a_trial(small_data, tiny_encoder, clock, tmp_path):
    space = {"learning_rate": Span(1e-3, 2e-3), "epochs": (1,), "batch_size": (4,)}
    options = {**FIXED, "space": space}
    # A trial makes 12 updates, and a look at the clock or two with each.
    found = search(tiny_encoder, small_data, 1, out=tmp_path, **options)
    states = [trial.state for trial in found.trials]
    assert states[0] == "complete" and set(states) <= {"complete", "out of time"}
    assert 60 - max(t.seconds for t in found.trials) <= found.trials[-1].ended <= 64
    spent = found.trials[-1].ended
    more = search(tiny_encoder, small_data, 2, out=tmp_path, resume=True, **options)
    assert len(more.trials) > len(found.trials), "twice the minutes are one minute more"
    assert spent < more.trials[-1].ended <= 124


def test_without_time_for_one_trial_it_says_so(small_data, tiny_encoder, clock, tmp_path):
    with pytest.raises(TrainingError, match=r"No trial was complete after 0.1 minutes\. Give more"):
        search(tiny_encoder, small_data, 0.1, out=tmp_path, **FIXED)
    state = json.loads((tmp_path / "search.json").read_text("utf-8"))
    assert [trial["state"] for trial in state["trials"]] == ["out of time"]


def test_a_trial_below_the_median_is_given_up(small_data, tiny_encoder, monkeypatch):
    """Five trials that learn, one that stays behind, one whose loss bursts."""
    made = []

    def fake(*_, best_metric, watch, **options):
        made.append(options)
        if len(made) == 7:
            raise TrainingError("the loss is nan")
        history = searching.History()
        for step, value in enumerate([0.5, 0.6, 0.9] if len(made) < 6 else [0.5, 0.5, 0.9]):
            history.add("train", step=step, loss=1.0, learning_rate=1.0)
            history.add("eval", step=step, **{best_metric: value})
            watch(step, history)
        return SimpleNamespace(result=SimpleNamespace(dev=score(value)))

    monkeypatch.setattr(searching, "fine_tune", fake)
    found = search(tiny_encoder, small_data, 60, trials=7, **FIXED)
    assert [trial.state for trial in found.trials] == ["complete"] * 5 + ["pruned", "failed"]
    assert found.trials[5].curve == (0.5, 0.5)
    assert found.trials[6].reason == "the loss is nan"
    assert found.table()[-1]["state"] == "failed" and len(found.ranking) == 5


def score(accuracy: float, loss: float = 1.0):
    from companion.classification.metrics import Evaluation

    confusion = torch.tensor([[1, 0], [0, 1]]).numpy()
    around = (accuracy - 0.05, accuracy + 0.05)
    return Evaluation(("a", "b"), confusion, accuracy, accuracy, around, around, loss=loss)


def test_advice_doubts_a_gain_within_the_interval_of_the_defaults():
    def of(*scores):
        trials = tuple(Trial(i, {}, "complete", score(*s)) for i, s in enumerate(scores))
        return Search("m", "accuracy", trials, {}, 1.0)

    assert "may be luck" in of((0.80,), (0.84,)).advice()
    assert "may be luck" not in of((0.80,), (0.90,)).advice()
    assert "nothing better was found" in of((0.80,), (0.79,)).advice()
    assert of((0.8, 1.0), (0.8, 0.5)).best.number == 1, "of equals the one with the lower loss"


# The space --------------------------------------------------------------------------------------


def test_the_default_space_holds_the_defaults_and_train_has_an_option_for_each(
    small_data, tiny_encoder
):
    from companion.cli.classification import train

    usual = usual_settings(tiny_encoder, small_data["train"], ["差", "好"], {})
    space = default_space(usual, {})
    start = nearest_point(space, usual)
    encoder = type("Config", (), {"hidden_size": 32})
    assert start["learning_rate"] == default_learning_rate(tiny_encoder, encoder)
    assert start["batch_size"] == 32 and start["weight_decay"] == 0.01
    assert set(space) <= set(train.__annotations__), "the command could not be typed"
    assert start["epochs"] == 20, "as suits 48 texts"
    assert start["label_smoothing"] == 0, "which is off by default"
    assert set(space) - set(default_space(usual, {"epochs": 2})) == {"epochs"}


def test_a_start_outside_the_space_is_moved_to_its_edge():
    space = {"a": Span(1.0, 2.0), "b": Span(1e-4, 1e-2, log=True), "c": (5, 6), "d": Span(1, 9)}
    found = nearest_point(space, {"a": 0.5, "c": 7, "d": 3, "b": None})
    assert found == {"a": 1.0, "b": pytest.approx(1e-3), "c": 5, "d": 3}


def test_what_is_off_by_default_is_off_at_the_start():
    space = {
        "layer_decay": Span(0.6, 1.0),
        "label_smoothing": (0.1, None),
        "r_drop": Span(0.5, 2.0),
        "reinit_layers": (0, 1),
    }
    found = nearest_point(space, dict.fromkeys(space))
    assert found == {
        "layer_decay": 1.0, "label_smoothing": None, "r_drop": 0.5, "reinit_layers": 0
    }  # fmt: skip


def test_proposals_are_rounded_within_their_span():
    assert tidy(Span(0.0, 1.0), 0.123456) == 0.123
    assert tidy(Span(0.123456, 1.0), 0.1234561) == 0.123456
    assert tidy((0.123456,), 0.123456) == 0.123456


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metric": "speed"}, "metric is 'speed'; it is one of accuracy, macro_f1"),
        ({"minutes": 0}, "minutes is 0"),
        ({"space": {"lr": (1, 2)}}, "fine_tune has no setting lr"),
        ({"space": {"epochs": ()}}, "epochs has no value"),
        ({"space": {}}, "nothing to search"),
        ({"batch_size": 4}, "batch_size cannot be fixed and searched"),
        ({"wrong": 4}, "There is no setting wrong"),
    ],
)
def test_mistakes_are_sentences(small_data, tiny_encoder, options, sentence):
    with pytest.raises(SettingsError, match=sentence):
        search(tiny_encoder, small_data, **{"trials": 1, **FIXED, **options})


def test_three_texts_are_too_few(tiny_encoder):
    data = Dataset.from_dict({"text": ["好", "bad", "很好"], "label": [1, 0, 1]}, features=FEATURES)
    with pytest.raises(DataError, match="a search needs a dev split"):
        search(tiny_encoder, data, 1, **FIXED)
    with pytest.raises(SettingsError, match="from 2 to 1 is impossible"):
        Span(2, 1)


def test_what_a_run_needs_beside_its_settings_is_not_searched():
    known = set(defaults_of_fine_tune())
    assert "max_length" in known and not known & {"out", "resume", "watch", "progress"}
