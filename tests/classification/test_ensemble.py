"""`Ensemble`: the mean of probabilities, in one object and one folder."""

import json

import pytest
import torch

from companion.classification import load_classifier, train_baseline
from companion.classification.classifier import Classifier
from companion.classification.encoders import load_encoder
from companion.classification.tuning.ensemble import Ensemble
from companion.errors import CheckpointError, SettingsError


@pytest.fixture(scope="module")
def classifiers(tiny_encoder, easy_data):
    """Two networks with heads of random weights, and a baseline that has learned."""
    torch.set_num_threads(1)
    networks = [
        Classifier(*load_encoder(tiny_encoder, ["差", "好"], seed=seed), max_length=32)
        for seed in (1, 2)
    ]
    for scale, network in zip((1, 2), networks, strict=True):
        # Weights of the usual size would hardly tell one text from another.
        torch.nn.init.normal_(network.model.classifier.weight, std=scale)
    return [*networks, train_baseline("naive-bayes", easy_data, progress=False)]


@pytest.fixture(scope="module")
def texts(easy_data):
    return easy_data["test"]["text"][:40]


def probabilities(classifier, texts):
    return torch.tensor([list(p.probabilities.values()) for p in classifier.predict(texts)])


def test_two_answer_with_the_mean_of_their_probabilities(classifiers, texts):
    first, second, _ = classifiers
    by_hand = (probabilities(first, texts) + probabilities(second, texts)) / 2
    assert (probabilities(first, texts) - by_hand).abs().max() > 0.05, "they differ"
    found = Ensemble([first, second])
    torch.testing.assert_close(probabilities(found, texts), by_hand, atol=1e-6, rtol=1e-5)
    assert found.labels == ("差", "好")


def test_one_answers_as_it_does_alone(classifiers, texts):
    for classifier in classifiers:
        torch.testing.assert_close(
            probabilities(Ensemble([classifier]), texts),
            probabilities(classifier, texts),
            atol=1e-6,
            rtol=1e-5,
        )


def test_its_loss_is_at_most_the_mean_loss(classifiers, easy_data):
    """Jensen's inequality, for -log is convex."""
    data = easy_data["test"]
    losses = [classifier.evaluate(data).loss for classifier in classifiers]
    assert Ensemble(classifiers).evaluate(data).loss <= sum(losses) / 3 + 1e-6


def test_a_certain_member_that_is_wrong_does_not_make_the_mean_zero():
    class Certain(Classifier):
        labels = ("a", "b")

        def __init__(self, *row):
            self.row = row

        def logits(self, texts, **_):
            return torch.tensor([self.row] * len(texts))

    found = Ensemble([Certain(1000.0, -1000.0), Certain(-1000.0, 1000.0), Certain(0.0, 0.0)])
    assert torch.softmax(found.logits(["x"]), -1).tolist() == [[0.5, 0.5]]


def test_labels_in_another_order_are_put_in_order(tiny_encoder, classifiers, texts):
    turned = Classifier(*load_encoder(tiny_encoder, ["差", "好"], seed=1), max_length=32)
    turned.model.load_state_dict(classifiers[0].model.state_dict())
    head = turned.model.classifier
    with torch.no_grad():
        head.weight.copy_(head.weight.flip(0))
        head.bias.copy_(head.bias.flip(0))
    turned.model.config.id2label = {0: "好", 1: "差"}
    torch.testing.assert_close(
        probabilities(Ensemble([classifiers[0], turned]), texts),
        probabilities(classifiers[0], texts),
        atol=0.01,  # bf16 where the CPU has it
        rtol=0.01,
    )


def test_other_labels_and_no_members_are_refused(tiny_encoder, classifiers):
    with pytest.raises(SettingsError, match="at least one classifier"):
        Ensemble([])
    other = Classifier(*load_encoder(tiny_encoder, ["差", "中"]), max_length=32)
    with pytest.raises(SettingsError, match=r"Member 2 knows the labels 差, 中, the first 差, 好"):
        Ensemble([classifiers[0], other])


def test_saved_and_opened_again_it_answers_the_same(classifiers, texts, tmp_path):
    ensemble = Ensemble(classifiers)
    ensemble.save(tmp_path / "three")
    for opened in (Ensemble.load(tmp_path / "three"), load_classifier(tmp_path / "three")):
        assert isinstance(opened, Ensemble) and opened.labels == ensemble.labels
        assert torch.equal(opened.logits(texts), ensemble.logits(texts))
    Ensemble(classifiers[:2]).save(tmp_path / "three")
    assert len(Ensemble.load(tmp_path / "three").members) == 2, "the newer takes the place"
    assert not (tmp_path / "three" / "member-3").exists()


def test_an_ensemble_of_ensembles_opens(classifiers, texts, tmp_path):
    nested = Ensemble([Ensemble(classifiers[:2]), classifiers[2]])
    opened = load_classifier(nested.save(tmp_path))
    assert torch.equal(opened.logits(texts), nested.logits(texts))


def test_the_command_line_opens_it(classifiers, texts, tmp_path, monkeypatch, capsys):
    from companion import cli

    ensemble = Ensemble(classifiers[::2])
    ensemble.save(tmp_path)
    monkeypatch.setattr("sys.argv", ["companion", "predict", str(tmp_path), texts[0], "--json"])
    cli.main.__globals__["app"](standalone_mode=False)
    answer = json.loads(capsys.readouterr().out)
    assert answer["probabilities"] == ensemble.predict(texts[0])[0].probabilities


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"members": ["../elsewhere"]},
            "names the member '../elsewhere'; a member is a sub-folder",
        ),
        ({"members": []}, "holds no ensemble"),
        ({"id2label": {"0": "好", "1": "差"}}, "names the labels 好, 差, its members 差, 好"),
    ],
)
def test_a_config_that_lies_is_refused(classifiers, tmp_path, change, sentence):
    Ensemble(classifiers[2:]).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | change), "utf-8")
    with pytest.raises(CheckpointError, match=sentence):
        Ensemble.load(tmp_path)


def test_an_empty_list_of_texts_has_no_answers(classifiers):
    assert Ensemble(classifiers).predict([]) == []
