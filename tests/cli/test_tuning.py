"""`companion cross-validate` and `companion search`, as a user types them."""

import csv
import json

import pytest

from tests.fixtures import texts_and_labels


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "reviews.csv"
    rows = texts_and_labels(60, seed=4)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["review", "label"], *zip(*rows.values(), strict=True)])
    return path


@pytest.mark.parametrize("command", ["cross-validate", "search"])
def test_help_has_examples(companion, command):
    code, out, _ = companion(command, "--help")
    assert code == 0 and "Example" in out and f"companion {command}" in out


def test_cross_validation_prints_folds_and_the_folder_predicts(companion, table, tmp_path):
    command = ["cross-validate", table, "--text-column", "review", "--model", "naive-bayes"]
    options = ["--folds", 3, "--out", tmp_path / "folds", "--quiet"]
    code, out, _ = companion(*command, *options)
    assert code == 0 and "Out of fold: accuracy" in out and "not independent" in out
    code, out, _ = companion("predict", tmp_path / "folds", "the room was lovely")
    assert code == 0 and out.startswith("1\t")
    code, _, err = companion(*command, *options)
    assert code == 2 and "already holds a cross-validation" in err
    code, out, _ = companion(*command, *options, "--resume", "--json")
    assert code == 0 and len(json.loads(out)["folds"]) == 3


def test_a_search_prints_a_command_that_can_be_typed(companion, table, tiny_encoder, tmp_path):
    command = ["search", table, "--text-column", "review", "--model", tiny_encoder, "--quiet"]
    options = ["--epochs", 1, "--max-length", 16, "--trials", 2, "--out", tmp_path / "search"]
    code, out, _ = companion(*command, *options)
    assert code == 0 and "2 trials" in out and "too high on average" in out
    line = out.strip().splitlines()[-1].split()
    assert line[:3] == ["companion", "train", str(table)]
    assert line[line.index("--text-column") + 1] == "review" and "--epochs" in line
    line[line.index("--out") + 1] = str(tmp_path / "best")
    code, out, _ = companion(*line[1:], "--quiet")
    assert code == 0 and "Trained in" in out
    code, _, err = companion(*command, "--minutes", 0)
    assert code == 2 and "minutes is 0" in err
