"""The command as a user meets it: help, a whole round, and a sentence for every mistake."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.data.bad_tables import BAD_TABLES
from tests.fixtures import texts_and_labels
from tests.hub_server import HubServer

COMMANDS = [
    "check",
    "train",
    "predict",
    "evaluate",
    "compare",
    "cross-validate",
    "search",
    "pretrain",
    "bench",
]
QUICK = ["--epochs", "8", "--batch-size", "8", "--learning-rate", "3e-3", "--max-length", "32"]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A CSV that nobody prepared for this package: other column names, no splits."""
    path = tmp_path_factory.mktemp("table") / "feedback.csv"
    rows = texts_and_labels(300, seed=5)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "comment", "stars"])
        for i, (text, label) in enumerate(zip(*rows.values(), strict=True)):
            writer.writerow([i, text, 5 if label else 1])
    return path


COLUMNS = ["--text-column", "comment", "--label-column", "stars"]


@pytest.fixture(scope="module")
def trained(table, tiny_encoder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "feedback"
    command = ["train", table, "--out", out, "--model", tiny_encoder, *COLUMNS, *QUICK, "--quiet"]
    subprocess.run([sys.executable, "-m", "companion.cli", *map(str, command)], check=True)
    return out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(companion, command):
    code, out, _ = companion(command, "--help")
    assert code == 0 and "Example" in out and f"companion {command}" in out


def test_help_answers_before_torch_is_loaded():
    code = "import sys, companion.cli; print(any(m in sys.modules for m in ('torch', 'datasets')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_whole_round(companion, trained, table, tmp_path):
    code, out, _ = companion("predict", trained, "很好 it was great", "很差 awful")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["5", "1"]

    code, out, _ = companion("predict", trained, "--json", "the room was lovely")
    answer = json.loads(out)
    assert answer["label"] == "5" and set(answer["probabilities"]) == {"1", "5"}

    code, out, err = companion("predict", trained, "--file", table, "--text-column", "comment")
    assert code == 0 and len(out.splitlines()) == 300

    lines = tmp_path / "new.txt"
    lines.write_text("很好\n\n很差\n", "utf-8")
    code, out, err = companion("predict", trained, "--file", lines)
    assert [line.split("\t")[0] for line in out.splitlines()] == ["5", "1"]
    assert "1 empty lines were left out" in err

    code, out, _ = companion("evaluate", trained, table, *COLUMNS, "--split", "train")
    assert code == 0 and "accuracy" in out and "macro-F1" in out and "Confusion" in out
    code, out, _ = companion("evaluate", trained, table, *COLUMNS, "--split", "train", "--json")
    assert json.loads(out)["count"] == 300 and json.loads(out)["accuracy"] > 0.9


def test_standard_input_is_answered_line_by_line(trained):
    done = subprocess.run(
        [sys.executable, "-m", "companion.cli", "predict", str(trained), "-"],
        input="很好\n很差\n".encode(), capture_output=True, check=True,
    )  # fmt: skip
    answers = done.stdout.decode("utf-8").splitlines()
    assert [a.split("\t")[0] for a in answers] == ["5", "1"]


def test_check_reports_what_training_would_stumble_over(companion, table, tmp_path):
    code, out, _ = companion("check", table, *COLUMNS)
    assert code == 0 and "300" in out
    doubled = tmp_path / "doubled.csv"
    doubled.write_text(
        "text,label,split\nfine,a,train\npoor,b,train\n,a,train\nfine,a,test\nfine,a,dev\n"
    )
    code, out, _ = companion("check", doubled, "--json")
    kinds = {finding["kind"] for finding in json.loads(out)["findings"]}
    assert {"empty", "shared_texts"} <= kinds


@pytest.mark.parametrize("bad", BAD_TABLES, ids=lambda bad: bad.case)
def test_a_bad_table_is_a_sentence_and_exit_code_2(companion, bad, tmp_path):
    path = tmp_path / bad.name
    path.write_bytes(bad.content)
    options = [x for k, v in bad.options.items() for x in (f"--{k.replace('_', '-')}", v)]
    code, _, err = companion("train", path, "--out", tmp_path / "out", *options)
    said = " ".join(err.split())
    assert code == 2 and "Error:" in said
    for words in bad.says:
        assert " ".join(words.split()) in said
    assert not (tmp_path / "out").exists(), "nothing is written before the data is sound"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "nowhere.csv", "--out", "x"], "neither a file or folder here nor a known"),
        (["train", "sample-em", "--out", "x"], "Did you mean 'sample-en'"),
        (["train", "sample-en", "--out", "x", "--model", "bert-bse"], "nor a known model"),
        (["train", "sample-en", "--out", "x", "--batch-size", "0"], "batch_size is 0"),
        (["train", "sample-en", "--out", "x", "--max-length", "9999"], "from 3 to 512 tokens"),
        (["train", "sample-en", "--out", "x", "--precision", "int4"], "auto, fp32, bf16 or fp16"),
        (["predict", "nowhere", "hello"], "no such folder"),
        (["evaluate", "nowhere", "sample-en"], "no such folder"),
        (["predict", "nowhere"], "Give texts, or - for standard input"),
        (["bench", "nonsense"], "There is no table nonsense"),
        (["bench", "encoder", "--epochs", "2"], "no option epochs. Name a table that has: fine-"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    companion, arguments, sentence, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = companion(*arguments)
    assert code == 2 and sentence in " ".join(err.replace("│", " ").split())
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_a_second_run_into_the_same_folder_is_refused(companion, trained, table):
    before = (trained / "metrics.json").read_bytes()
    code, _, err = companion("train", table, "--out", trained, *COLUMNS, *QUICK)
    assert code == 2 and "already holds a run" in err and "--resume" in err
    assert (trained / "metrics.json").read_bytes() == before


def test_killed_and_resumed_from_the_command_line(table, tiny_encoder, trained, tmp_path):
    """SIGKILL after the first checkpoint; --resume gives the weights of the unbroken run."""
    out = tmp_path / "killed"
    command = [
        sys.executable, "-m", "companion.cli", "train", table, "--out", out, "--model",
        tiny_encoder, *COLUMNS, *QUICK, "--save-steps", "10",
    ]  # fmt: skip
    with subprocess.Popen(list(map(str, command))) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("checkpoints/step-*")) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "config.json").exists(), "a run that was killed is no classifier"
    subprocess.run([*map(str, command), "--resume"], check=True)
    ours, unbroken = (load_file(f / "model.safetensors") for f in (out, trained))
    assert all((ours[name] == unbroken[name]).all() for name in unbroken)


def test_a_model_comes_from_the_hub_and_then_from_the_cache(table, tiny_encoder, tmp_path):
    """A real server on 127.0.0.1; the second run needs it no more."""
    repository = tmp_path / "served" / "models" / "lab" / "tiny"
    repository.parent.mkdir(parents=True)
    repository.symlink_to(tiny_encoder, target_is_directory=True)
    command = [
        sys.executable, "-m", "companion.cli", "train", table, "--model", "lab/tiny", *COLUMNS,
        *QUICK, "--epochs", "1",
    ]  # fmt: skip
    with HubServer(tmp_path / "served") as hub:
        environment = {**os.environ, **hub.environment(tmp_path / "home")}
        first = [*map(str, command), "--out", str(tmp_path / "one")]
        subprocess.run(first, env=environment, check=True)
        asked = len(hub.requests)
        assert asked and any("model.safetensors" in request for request in hub.requests)
    again = [*map(str, command), "--out", str(tmp_path / "two")]
    subprocess.run(again, env=environment, check=True)
    missing = [*map(str, command), "--out", str(tmp_path / "three"), "--model", "lab/other"]
    done = subprocess.run(missing, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "Places tried, in this order" in done.stderr
    assert "Traceback" not in done.stderr
