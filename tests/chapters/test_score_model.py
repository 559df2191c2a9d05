"""The table of scores: labels drawn fairly, one line a run, and nothing run twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import score_model
from score_model import SVM, Task, draw, main, read


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Task:
    task = Task("sample-en", "Sample", "test", 32)
    monkeypatch.setattr(score_model, "TASKS", {"sample-en": task})
    return task


def test_few_labels_keep_the_shares_of_the_classes_and_leave_the_test_alone(sample: Task) -> None:
    data = read(sample)
    drawn = draw(data, 50, seed=1)
    shares = [np.mean(np.array(x["train"]["label"][:])) for x in (data, drawn)]
    assert len(drawn["train"]) == 50
    assert abs(shares[0] - shares[1]) <= 1 / 50
    assert drawn["test"]["text"][:] == data["test"]["text"][:]
    assert not set(drawn["train"]["text"][:]) & set(drawn["test"]["text"][:])
    assert draw(data, 50, seed=1)["train"]["text"][:] == drawn["train"]["text"][:]
    assert draw(data, 50, seed=2)["train"]["text"][:] != drawn["train"]["text"][:]


def test_a_second_call_goes_on_where_the_first_stopped(
    sample: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "scores.jsonl"
    call = ["score_model.py", "--tasks", "sample-en", "--models", SVM, "--out", str(out)]
    for seeds in ("1", "3"):
        monkeypatch.setattr("sys.argv", [*call, "--labels", "40", "all", "--seeds", seeds])
        main()
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    # Three draws of 40 texts; all texts give the SVM the same answer whatever the seed.
    assert [(line["labels"], line["seed"]) for line in lines] == [
        (40, 1),
        (None, 1),
        (40, 2),
        (40, 3),
    ]
    few = [100 * line["accuracy"] for line in lines if line["labels"] == 40]
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", [*call, "--show"])
    main()
    shown = capsys.readouterr().out
    assert f"| {np.mean(few):.2f} ± {np.std(few, ddof=1):.2f} | 3 |" in shown
    assert f"| {100 * lines[1]['accuracy']:.2f} | 1 |" in shown
