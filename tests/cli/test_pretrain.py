"""`companion pretrain` as a user meets it: raw text in, a model folder out, a sentence if not."""

import json

import pytest
from transformers import AutoModelForMaskedLM

from companion.model import BertForMaskedLM
from tests.pretraining import worker

QUICK = ["--precision", "fp32", "--batch-size", "8", "--row-length", "32", "--seed", "1"]


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> str:
    """A model folder with its tokenizer, small enough to train in seconds."""
    folder = tmp_path_factory.mktemp("start")
    BertForMaskedLM(worker.tiny_config(31)).save_pretrained(folder)
    worker.letters_tokenizer().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("texts")
    letters = worker.LETTERS
    for name, shift in (("one", 0), ("two", 7)):
        lines = [" ".join(letters[(i + shift) % 26 :] + letters[:i]) for i in range(26)]
        (folder / f"{name}.txt").write_text("\n\n".join(lines), "utf-8")
    return str(folder)


def test_raw_text_becomes_a_model_folder(companion, texts, start, tmp_path):
    out = tmp_path / "out"
    command = ["pretrain", texts, "--out", out, "--model", start, "--tokenizer", start, *QUICK]
    code, said, err = companion(*command, "--steps", "4", "--quiet")
    assert code == 0, err
    assert "4 updates" in said and "tokens/s" in said and "of the measured peak" in said
    assert AutoModelForMaskedLM.from_pretrained(out).config.vocab_size == 31
    assert json.loads((out / "metrics.json").read_text("utf-8"))["updates"] == 4
    code, _, err = companion(*command, "--steps", "4")
    assert code == 2 and "already holds a run" in err and "--resume" in err
    code, said, _ = companion(*command, "--resume")
    assert code == 0 and "4 updates" in said


def test_progress_shows_the_held_out_loss(companion, texts, start, tmp_path):
    corpus = worker.small_corpus(tmp_path, documents=60)
    command = ["pretrain", corpus.folder, "--out", tmp_path / "out", "--model", start]
    code, said, err = companion(*command, "--steps", "2", "--batch-size", "4")
    assert code == 0, err
    assert "held out: loss" in err and "tokens/s" in err
    assert "en: loss" in said and "zh: loss" in said


def test_a_corpus_is_prepared_once_for_many_runs(companion, texts, start, tmp_path):
    out = tmp_path / "corpus"
    command = ["prepare", texts, "--out", out, "--tokenizer", start, "--row-length", "32"]
    code, said, err = companion(*command, "--share", "one=0.5", "--dev-share", "0.1", "--quiet")
    assert code == 0, err
    assert "two (en):" in said and "of the positions in use" in said
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["settings"]["shares"] == {"one": 0.5} and manifest["row_length"] == 32
    one, two = manifest["sources"]
    assert one["train"]["tokens"] < two["train"]["tokens"]
    code, said, err = companion(
        "pretrain", out, "--out", tmp_path / "run", "--model", start, "--steps", "1", "--quiet",
        "--precision", "fp32",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = companion("prepare", texts, "--out", tmp_path / "x", "--share", "one")
    assert code == 2 and "--share takes NAME=0.3, found 'one'" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.txt"], "There is no source nowhere.txt"),
        (["sample-em"], "There is no source sample-em"),
        (["sample-en", "--model", "minni"], 'There is no model "minni"'),
        (["sample-en", "--minutes", "3", "--steps", "3"], "minutes or steps, not both"),
        (["sample-en", "--minutes", "-1"], "it must be above 0"),
        (["sample-en", "--whole-words", "all"], "use no, pieces or jieba"),
        (["sample-en", "--tokenizer", "nowhere"], "nowhere"),
        (["sample-en", "--precision", "int4"], "auto, fp32, bf16 or fp16"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    companion, arguments, sentence, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = companion("pretrain", *arguments, "--out", "out", "--quiet")
    assert code == 2 and sentence in " ".join(err.split())
    assert not list(tmp_path.glob("out/config.json"))
