"""The options of `fine_tune` beyond the plain one: what they change, and nothing else."""

import json

import numpy as np
import pytest
import torch
from datasets import ClassLabel, DatasetDict, Features, Value
from safetensors.torch import load_file

from companion.classification import Classifier, fine_tune
from companion.classification.losses import WithLoss
from companion.classification.recipe import Recipe
from companion.classification.reinit import reinit_layers
from companion.errors import SettingsError
from tests.fixtures import SETTINGS
from tests.training.worker import make_model

SHORT = {**SETTINGS, "epochs": 1, "batch_size": 16, "precision": "fp32"}
EVERYTHING = {
    "layer_decay": 0.9, "average_weights": "auto", "label_smoothing": 0.1, "r_drop": 0.5,
    "class_weights": "balanced", "reinit_layers": 1, "threshold": "macro-f1",
}  # fmt: skip


def unequal(easy_data) -> DatasetDict:
    """One text in five is good."""

    def few(split):
        label = np.asarray(split["label"])
        good = np.flatnonzero(label)[: len(label) // 8]
        return split.select(sorted([*np.flatnonzero(label == 0), *good]))

    return DatasetDict({name: few(split) for name, split in easy_data.items()})


@pytest.fixture(scope="module")
def run(easy_data, tiny_encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipe") / "out"
    settings = {**SETTINGS, "epochs": 6, "batch_size": 16, **EVERYTHING}
    return fine_tune(tiny_encoder, unequal(easy_data), out=out, **settings), out


def test_all_together_learn_and_are_on_record(run, easy_data):
    classifier, out = run
    assert classifier.result.test.macro_f1 > 0.9
    stored = json.loads((out / "metrics.json").read_text("utf-8"))
    assert {name: stored["settings"][name] for name in EVERYTHING} == EVERYTHING
    assert "which gives the best macro-F1 on dev" in " ".join(stored["notes"])


def test_the_folder_is_that_of_a_plain_run(run, tiny_encoder, easy_data):
    classifier, out = run
    assert (
        load_file(out / "model.safetensors").keys()
        == load_file(f"{tiny_encoder}/model.safetensors").keys()
    )
    texts = easy_data["test"]["text"][:]
    assert torch.equal(Classifier.load(out).logits(texts), classifier.logits(texts))


class PowerCutError(Exception):
    """Stops a run in the middle."""


def test_a_run_that_stopped_goes_on_to_the_same_weights(
    run, tiny_encoder, easy_data, tmp_path, monkeypatch
):
    settings = {**SHORT, **EVERYTHING, "class_weights": [0.6, 2.5]}
    data = unequal(easy_data)
    whole = fine_tune(tiny_encoder, data, **settings, save_steps=5)
    forward, passes = WithLoss.forward, []

    def forward_until(self, **batch):
        passes.append(1)
        if len(passes) == 12:
            raise PowerCutError
        return forward(self, **batch)

    monkeypatch.setattr(WithLoss, "forward", forward_until)
    with pytest.raises(PowerCutError):
        fine_tune(tiny_encoder, data, out=tmp_path, **settings, save_steps=5)
    assert list(tmp_path.glob("checkpoints/step-*"))
    monkeypatch.undo()
    with pytest.raises(SettingsError, match=r"r_drop was 0.5, now None"):
        fine_tune(tiny_encoder, data, out=tmp_path, resume=True, **{**settings, "r_drop": None})
    again = fine_tune(
        tiny_encoder, data, out=tmp_path, resume=True, **settings, save_steps=5
    ).model.state_dict()
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again[name]), name


def test_values_that_do_nothing_leave_every_bit_as_it_was(tiny_encoder, easy_data):
    nothing = {"label_smoothing": 0.0, "r_drop": 0.0, "reinit_layers": 0, "layer_decay": 1.0}
    plain, same, other = (
        fine_tune(tiny_encoder, easy_data, **SHORT, **options).model.state_dict()
        for options in ({}, nothing, {"label_smoothing": 0.1})
    )
    assert all(torch.equal(plain[name], same[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


def test_balanced_weights_find_more_of_the_rare_class(tiny_encoder, easy_data):
    """After few updates a plain run says the frequent class only."""
    data = unequal(easy_data)
    few = {**SHORT, "epochs": 3, "max_steps": 40}
    plain = fine_tune(tiny_encoder, data, **few).result.test
    found = fine_tune(tiny_encoder, data, **few, class_weights="balanced").result.test
    assert found.confusion[1, 1] > plain.confusion[1, 1]


# New layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_the_highest_layers_start_anew_and_the_others_stay(layers):
    model, before = make_model(), make_model().state_dict()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1.0
    reinit_layers(model, layers, seed=3)
    anew = tuple(f"bert.encoder.layer.{i}." for i in range(2 - layers, 2))
    for name, weight in model.state_dict().items():
        if not layers or not name.startswith((*anew, "bert.pooler.")):
            assert torch.equal(weight, before[name] + 1.0), name
        elif name.endswith("bias"):
            assert not weight.any()
        elif "LayerNorm" in name:
            assert (weight == 1).all()
        else:
            assert abs(weight.mean()) < 0.004 and weight.std() == pytest.approx(0.02, rel=0.1)


def test_the_seed_decides_the_new_weights():
    one, two, other = make_model(), make_model(), make_model()
    for model, seed in ((one, 1), (two, 1), (other, 2)):
        reinit_layers(model, 1, seed=seed)
    name = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(one.state_dict()[name], two.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


# What cannot be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it is a share"),
        ({"r_drop": -1}, "r_drop is -1; it is a weight"),
        ({"r_drop": float("nan")}, "r_drop is nan"),
        ({"reinit_layers": 1.5}, "a whole number from 0 up"),
        ({"threshold": "f1"}, "threshold is 'f1'; the one choice"),
        ({"class_weights": "even"}, "class_weights is 'even'; it is \"balanced\" or a number"),
        ({"class_weights": [1, -2]}, "a number above 0 for each class"),
    ],
)
def test_impossible_values_are_refused_in_a_sentence(recipe, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Recipe(**recipe)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"class_weights": [1, 2, 3]}, "has 3 numbers, but there are 2 classes: 差, 好"),
        ({"reinit_layers": 3}, "reinit_layers is 3, but the model has 2 layers"),
        ({"r_drop": "much"}, "r_drop is 'much'"),
    ],
)
def test_what_does_not_fit_the_data_or_the_model_is_refused(
    tiny_encoder, easy_data, recipe, sentence
):
    with pytest.raises(SettingsError, match=sentence):
        fine_tune(tiny_encoder, easy_data, **SHORT, **recipe)


def test_a_threshold_needs_two_classes_and_a_dev_split(tiny_encoder, easy_data):
    three = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
    data = DatasetDict({name: split.cast(three) for name, split in easy_data.items()})
    with pytest.raises(SettingsError, match=r"for two classes; the data has 3"):
        fine_tune(tiny_encoder, data, **SHORT, threshold="macro-f1")
    few = DatasetDict({"train": easy_data["train"].select(range(3))})
    with pytest.raises(SettingsError, match=r"chosen on a dev split, and the data has none"):
        fine_tune(tiny_encoder, few, **SHORT, threshold="macro-f1")
