"""`companion train` with the options beyond plain fine-tuning."""

import json

from companion.cli.recipe import as_number, as_numbers


def test_they_reach_the_run_and_the_record(companion, tiny_encoder, tmp_path):
    code, out, err = companion(
        "train", "sample-en", "--out", tmp_path / "run", "--model", tiny_encoder, "--quiet",
        "--epochs", "1", "--max-length", "16", "--batch-size", "64", "--layer-decay", "0.9",
        "--average-weights", "0.5", "--reinit-layers", "1", "--label-smoothing", "0.1",
        "--r-drop", "1", "--class-weights", "1, 2.5", "--threshold", "macro-f1",
        "--truncation", "tail",
    )  # fmt: skip
    assert code == 0, err
    assert "best macro-F1 on dev" in out
    settings = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))["settings"]
    assert (settings["layer_decay"], settings["average_weights"]) == (0.9, 0.5)
    assert (settings["class_weights"], settings["threshold"]) == ([1.0, 2.5], "macro-f1")
    assert settings["truncation"] == "tail"
    assert (settings["reinit_layers"], settings["r_drop"]) == (1, 1.0)


def test_a_mistake_is_a_sentence(companion, tmp_path):
    for option, value, sentence in (
        ("--average-weights", "ema", "average_weights is 'ema'"),
        ("--class-weights", "1,x", "class_weights is '1,x'"),
        ("--layer-decay", "2", "layer_decay is 2.0"),
        ("--truncation", "middle", "truncation is 'middle'"),
    ):
        code, _, err = companion("train", "sample-en", "--out", tmp_path / "run", option, value)
        assert code == 2 and sentence in err


def test_numbers_are_read_and_words_are_passed_on():
    assert (as_number(None), as_number("auto"), as_number("0.9")) == (None, "auto", 0.9)
    assert (as_numbers(None), as_numbers("balanced"), as_numbers("1, 2")) == (
        None,
        "balanced",
        [1.0, 2.0],
    )
