"""Tables as strangers bring them: they train at the first try, or are refused in a sentence."""

import random
import subprocess
import sys

import pytest
from datasets import Dataset

from companion.classification import fine_tune, load_classifier
from companion.data import load_dataset
from companion.errors import DataError

FAST = {"epochs": 1, "batch_size": 16, "max_length": 16, "progress": False}
GIBIBYTE = 2**30


def test_one_class_is_refused(tiny_encoder):
    data = Dataset.from_dict({"text": ["a", "b", "c"], "label": ["good"] * 3})
    with pytest.raises(DataError, match="only one class, 'good'"):
        fine_tune(tiny_encoder, data, **FAST)


def test_a_hundred_classes_are_learned_and_named(tiny_encoder, tmp_path):
    names = [f"类 {i}" for i in range(100)]
    data = Dataset.from_dict({"text": [f"text {i}" for i in range(200)], "label": names * 2})
    fine_tune(tiny_encoder, data, out=tmp_path, **FAST)
    (answer,) = load_classifier(tmp_path).predict("text 7")
    assert set(answer.probabilities) == set(names)
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_texts_of_one_character_and_of_20000(tiny_encoder):
    texts = ["好", "x", "房间很小。" * 4000, "the room was small " * 1053]
    data = Dataset.from_dict({"text": texts * 10, "label": [0, 1, 0, 1] * 10})
    classifier = fine_tune(tiny_encoder, data, **FAST)
    assert classifier.result.truncated > 0
    assert len(classifier.predict(texts)) == 4


@pytest.mark.parametrize(
    ("encoding", "options"),
    [("utf-8-sig", {}), ("gb18030", {"encoding": "gb18030"}), ("utf-16", {"encoding": "utf-16"})],
)
@pytest.mark.parametrize("names", [("好", "差"), ("1", "0"), ("True", "False"), ("1.0", "-1.0")])
def test_a_table_of_any_encoding_and_labels_trains(
    encoding, options, names, tiny_encoder, tmp_path
):
    rows = [f"酒店 {i} {('很好', '很差')[i % 2]},{names[i % 2]}" for i in range(40)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), encoding=encoding)
    data = load_dataset(tmp_path / "data.csv", **options)
    classifier = fine_tune(tiny_encoder, data, **FAST)
    assert set(classifier.labels) == set(names)
    assert data["train"]["text"][0].startswith("酒店 0")


@pytest.mark.slow
def test_a_million_rows_are_read_in_less_than_two_gibibytes(tmp_path):
    rng = random.Random(0)
    words = ["酒店", "房间", "the", "room", "早餐", "was", "small", "很好", "awful"]
    with (tmp_path / "big.csv").open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for i in range(1_000_000):
            file.write(f"{' '.join(rng.choices(words, k=9))} {i},{i % 3}\n")
    code = (
        "import resource, sys\nfrom companion.data import load_dataset\n"
        "data = load_dataset(sys.argv[1])['train']\n"
        "assert len(data) == 1_000_000 and data[999_999]['text'].endswith('999999')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "big.csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 2 * GIBIBYTE
