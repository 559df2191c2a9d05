"""`companion compare` as a user meets it, and the folders it leaves."""

import json

import pytest

from companion.classification import train_baseline
from tests.cli.test_cli import COLUMNS, table  # noqa: F401  a fixture

TWO = "naive-bayes, linear-svm"


def test_help_has_an_example(companion):
    code, out, _ = companion("compare", "--help")
    assert code == 0 and "Example" in out and "companion compare" in out and "bilstm" in out


def test_a_table_of_ones_own_is_compared_and_the_models_can_be_used(companion, table, tmp_path):  # noqa: F811
    out = tmp_path / "compared"
    code, said, err = companion(
        "compare", table, *COLUMNS, "--models", f"{TWO},nobody/nothing", "--out", out
    )
    assert code == 0, err
    assert "held out for the scores" in said and "For accuracy take" in said
    assert "failed:" in said and "Holm" in said and "texts/s" in said
    assert "1/3 naive-bayes" in err and "3/3 nobody/nothing" in err
    assert (out / "comparison.png").is_file()
    code, said, _ = companion("predict", out / "models" / "linear-svm", "很好 it was great")
    assert code == 0 and said.startswith("5\t")
    code, said, _ = companion("evaluate", out / "models" / "naive-bayes", table, *COLUMNS,
                              "--split", "train", "--json")  # fmt: skip
    assert code == 0 and json.loads(said)["accuracy"] > 0.9
    code, _, err = companion("compare", table, *COLUMNS, "--models", TWO, "--out", out)
    assert code == 2 and "already holds a comparison" in err and "--resume" in err


def test_json_is_one_document_and_nothing_else(companion):
    code, out, _ = companion("compare", "sample-en", "--models", TWO, "--json")
    result = json.loads(out)
    assert code == 0 and result["scored"] == "test" and len(result["table"]) == 2
    assert result["best"] in TWO and result["advice"].startswith("For accuracy take")
    for row in result["table"]:
        assert {"accuracy", "macro_f1", "texts_per_second", "disk_bytes", "p"} <= set(row)


def test_a_network_answers_from_its_folder(companion, easy_data, tmp_path):
    small = {"hidden_size": 4, "filters": 4, "max_steps": 2, "progress": False}
    train_baseline("text-cnn", easy_data, out=tmp_path / "cnn", **small)
    code, out, err = companion("predict", tmp_path / "cnn", "很好", "很差")
    assert code == 0 and len(out.splitlines()) == 2, err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample-en", "--models", "linear-smv"], "Did you mean 'linear-svm'"),
        (["sample-en", "--models", TWO, "--test-split", "exam"], "no split 'exam' to score; there"),
        (["nowhere.csv"], "neither a file or folder here nor a known"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(companion, arguments, sentence):
    code, _, err = companion("compare", *arguments)
    assert code == 2 and sentence in " ".join(err.split())
