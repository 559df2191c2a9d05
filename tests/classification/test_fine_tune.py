"""`fine_tune` and `Classifier`: learning, saving, reloading, resuming, refusing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file, save_file

from companion.classification import Classifier, fine_tune
from companion.classification.fine_tune import default_epochs
from companion.classification.splits import with_dev_split
from companion.errors import CheckpointError, DataError, NotFoundError, SettingsError
from tests.fixtures import FEATURES, SETTINGS


@pytest.fixture(scope="module")
def run(easy_data, tiny_encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    return fine_tune(tiny_encoder, easy_data, out=out, **SETTINGS), out


def test_it_learns_and_leaves_every_file(run):
    classifier, out = run
    assert classifier.result.test.accuracy > 0.95
    assert classifier.result.rows == {"train": 400, "dev": 80, "test": 80}
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "metrics.json"} <= names
    assert {"history.csv", "training_curves.png"} <= names
    assert "checkpoints" not in names, "a run that is over needs none"
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["test"]["accuracy"] == classifier.result.test.accuracy
    assert (out / "history.csv").read_text().count("\n") == len(classifier.history) + 1


def test_a_reloaded_classifier_answers_the_same(run, easy_data):
    classifier, out = run
    again = Classifier.load(out)
    texts = easy_data["test"]["text"][:]
    assert again.labels == ("差", "好") and again.max_length == 32
    assert torch.equal(again.logits(texts), classifier.logits(texts))
    assert again.evaluate(easy_data).accuracy == classifier.result.test.accuracy


def test_texts_are_cut_where_the_pretraining_ended(easy_data, tiny_encoder, tmp_path):
    shutil.copytree(tiny_encoder, tmp_path / "model")
    config = tmp_path / "model" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_max_length": 16}))
    few = {key: value for key, value in SETTINGS.items() if key != "max_length"} | {"max_steps": 1}
    assert fine_tune(tmp_path / "model", easy_data, **few).max_length == 16
    longer = fine_tune(tmp_path / "model", easy_data, max_length=32, **few)
    assert longer.max_length == 32
    assert any("made for 16 tokens" in note for note in longer.result.notes)


def test_plain_transformers_reads_the_folder(run, easy_data):
    """In a fresh process that never imports this package."""
    texts = easy_data["test"]["text"][:5]
    code = (
        "import json, sys\nfrom transformers import pipeline\n"
        "folder, texts = sys.argv[1], json.loads(sys.argv[2])\n"
        "answers = pipeline('text-classification', folder, device='cpu')(texts)\n"
        "assert 'companion' not in sys.modules\nprint(json.dumps(answers))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run[1]), json.dumps(texts)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = run[0].predict(texts)
    assert [a["label"] for a in theirs] == [p.label for p in ours]
    for answer, prediction in zip(theirs, ours, strict=True):
        assert answer["score"] == pytest.approx(prediction.probability, abs=0.02)  # bf16 here


def test_predictions_come_in_order_and_sum_to_one(run):
    texts = ["很好", "the staff was awful and the room was awful " * 3, "lovely"] * 40
    predictions = run[0].predict(texts, batch_size=7)
    assert [p.label for p in predictions] == ["好", "差", "好"] * 40
    for prediction in predictions:
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction.probability == prediction.probabilities[prediction.label]
    assert run[0].predict([]) == []


@pytest.mark.parametrize("text", ["", "  \n", None, 3])
def test_there_is_nothing_to_classify_in_an_empty_text(run, text):
    with pytest.raises(DataError, match=r"Text number 2 .* nothing to classify"):
        run[0].predict(["fine", text])


def test_length_does_not_matter_to_a_neighbour(run):
    """A short text's answer is the same alone and beside a long one: padding is masked."""
    alone = run[0].logits(["很好"])
    beside = run[0].logits(["很好", "the room was lovely and " * 10], batch_size=2)[:1]
    torch.testing.assert_close(alone, beside, atol=0.03, rtol=0.02)  # bf16 where the CPU has it


def test_a_second_run_does_not_overwrite_the_first(run, easy_data, tiny_encoder):
    with pytest.raises(SettingsError, match=r"already holds a run"):
        fine_tune(tiny_encoder, easy_data, out=run[1], **SETTINGS)
    resumed = fine_tune(tiny_encoder, easy_data, out=run[1], resume=True, **SETTINGS)
    assert resumed.result.to_dict() == json.loads((run[1] / "metrics.json").read_text("utf-8"))


def test_without_dev_a_tenth_is_held_out_and_copies_stay_together(easy_data):
    text = [f"text {i // 2}" for i in range(400)]  # each text twice
    data = Dataset.from_dict({"text": text, "label": [i // 2 % 2 for i in range(400)]})
    splits, notes = with_dev_split(DatasetDict({"train": data.cast(FEATURES)}), seed=1)
    assert len(splits["dev"]) == 40 and len(splits["train"]) == 360
    assert not set(splits["dev"]["text"]) & set(splits["train"]["text"])
    assert sorted(splits["dev"]["label"]) == [0] * 20 + [1] * 20
    assert "held out as dev" in notes[0]


def test_three_rows_are_enough_to_run(tiny_encoder):
    data = Dataset.from_dict({"text": ["好", "bad", "很好"], "label": [1, 0, 1]})
    classifier = fine_tune(tiny_encoder, data.cast(FEATURES), **{**SETTINGS, "epochs": 1})
    assert classifier.result.dev is None
    assert "too few texts" in " ".join(classifier.result.notes)
    assert len(classifier.predict(["好"])) == 1


def test_small_tables_are_read_more_often():
    assert default_epochs(9600, 32) == 3
    assert default_epochs(960, 32) == 10
    assert default_epochs(10, 32) == 20


def test_long_texts_are_cut_and_counted(tiny_encoder, easy_data):
    long = easy_data["train"].select(range(20)).map(lambda row: {"text": row["text"] * 30})
    short = {**SETTINGS, "epochs": 1, "max_length": 16}
    classifier = fine_tune(tiny_encoder, DatasetDict({**easy_data, "train": long}), **short)
    assert classifier.result.truncated == 20
    assert "20 training texts are longer than 16 tokens" in " ".join(classifier.result.notes)


def test_other_labels_are_refused_by_name(run, easy_data):
    data = easy_data["test"].to_dict() | {"label": ["好", "中"] * 40}
    with pytest.raises(DataError, match=r"does not know: 中. It knows 差, 好"):
        run[0].evaluate(Dataset.from_dict(data))
    with pytest.raises(DataError, match=r"no split 'valid'"):
        run[0].evaluate(easy_data, split="valid")


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"lr": 1e-3}, SettingsError, "There is no setting lr. There are: average_weights"),
        ({"max_length": 500}, SettingsError, "reads from 3 to 128 tokens"),
        ({"epochs": -1}, SettingsError, "epochs is -1"),
        ({"learning_rate": 3.0}, SettingsError, "learning_rate is 3.0"),
    ],
)
def test_settings_are_checked(tiny_encoder, easy_data, settings, error, sentence):
    with pytest.raises(error, match=sentence):
        fine_tune(tiny_encoder, easy_data, **{**SETTINGS, **settings})


def test_data_without_a_train_split_or_a_column_is_refused(tiny_encoder, easy_data):
    with pytest.raises(DataError, match=r'no split "train" to learn from, only test'):
        fine_tune(tiny_encoder, DatasetDict({"test": easy_data["test"]}), **SETTINGS)
    with pytest.raises(DataError, match=r"no column text, only content, label"):
        fine_tune(tiny_encoder, easy_data["train"].rename_column("text", "content"), **SETTINGS)


# Damaged models ---------------------------------------------------------------------------------


@pytest.fixture
def copy(tiny_encoder, tmp_path):
    return Path(shutil.copytree(tiny_encoder, tmp_path / "model"))


def refused(copy, easy_data, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        fine_tune(copy, easy_data, **SETTINGS)


def test_a_checkpoint_that_was_cut_short(copy, easy_data):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5000])
    refused(copy, easy_data, "cannot be read: .*Fetch it again")


def test_a_checkpoint_without_weights(copy, easy_data):
    (copy / "model.safetensors").unlink()
    refused(copy, easy_data, "cannot be read")


def test_a_checkpoint_of_other_shapes(copy, easy_data):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 128}))
    refused(copy, easy_data, r"Other shapes: .*intermediate.*is \(64.*\) in the file and \(128")


def test_a_checkpoint_that_lacks_a_layer(copy, easy_data):
    tensors = load_file(copy / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if ".layer.1." not in k}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    refused(copy, easy_data, "Missing: bert.encoder.layer.1.")


def test_another_vocabulary(copy, easy_data):
    tokenizer = json.loads((copy / "tokenizer.json").read_text("utf-8"))
    for i in range(100):
        tokenizer["model"]["vocab"][f"extra{i}"] = 16000 + i
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    refused(copy, easy_data, "16,100 tokens, but the model only 16,000 embeddings")


def test_a_classifier_that_is_not_there_or_not_whole(tmp_path, copy):
    with pytest.raises(NotFoundError, match=r"no such folder. Train one with"):
        Classifier.load(tmp_path / "nowhere")
    (copy / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"its training has not finished"):
        Classifier.load(copy)


# A full disk ------------------------------------------------------------------------------------


def on_a_disk_of(mebibytes: int, folder: Path, code: str, *arguments: str) -> tuple[int, str]:
    """Run Python code while `folder` is a disk of that size, in a namespace of its own."""
    mount = f'mount -t tmpfs -o size={mebibytes}m tmpfs {folder} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs user namespaces to make a small disk",
)
def test_a_full_disk_is_a_sentence_and_keeps_what_was_whole(tmp_path):
    code = """
import sys
from pathlib import Path
from companion.errors import CheckpointError
from companion.training import TrainSettings, train
from tests.training.worker import make_batches, make_model
out = Path(sys.argv[1])
store = out / "checkpoints"
def run(steps):
    settings = TrainSettings(max_steps=steps, batch_size=8, save_steps=3, precision="fp32")
    train(make_model(), make_batches(), settings, out=out, progress=False)
run(3)
before = sorted(p.name for p in store.iterdir())
(out / "filler").write_bytes(bytes(1 << 20))
try:
    (out / "more").write_bytes(bytes(10 << 20))
except OSError:
    pass
try:
    run(9)
except CheckpointError as error:
    print("SENTENCE", error)
print("BEFORE", before, "AFTER", sorted(p.name for p in store.iterdir()))
from companion.training import CheckpointStore
print("WHOLE", CheckpointStore(store).load_newest()[0])
"""
    status, said = on_a_disk_of(4, tmp_path, code, str(tmp_path))
    assert status == 0, said
    assert "SENTENCE" in said and "the disk is full" in said and "Free some space" in said
    assert "BEFORE ['step-00000003'] AFTER ['step-00000003']" in said
    assert "WHOLE 3" in said
