"""The tables of data sets and models are consistent, and fit the real files where they are."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.data import DATASETS, MODELS, load_dataset
from companion.data.registry import DatasetEntry, Layout
from companion.data.rows import SPLITS

NAMES = [
    *("chnsenticorp", "thucnews-titles", "sst2", "imdb", "online-shopping", "ag-news"),
    *("sample-zh", "sample-en", "sample-zh-headlines", "sample-en-headlines"),
]
ROWS = {
    "chnsenticorp": {"train": 9_600, "dev": 1_200, "test": 1_200},
    "thucnews-titles": {"train": 94_568, "dev": 10_000, "test": 10_000},
    "sst2": {"train": 67_349, "dev": 872},
    "imdb": {"train": 25_000, "test": 25_000},
    "online-shopping": {"train": 62_773},  # and one without text
}


def layouts(entry: DatasetEntry) -> list[Layout]:
    return [layout for layout in (entry.local, entry.hub, entry.shipped) if layout]


def test_every_promised_name_is_there() -> None:
    assert list(DATASETS) == NAMES
    assert all(entry.name == name for name, entry in DATASETS.items())
    assert all(entry.name == name for name, entry in MODELS.items())
    assert not set(DATASETS) & set(MODELS)


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_entry_can_be_found_somewhere_and_its_files_make_sense(entry: DatasetEntry) -> None:
    assert layouts(entry)
    assert bool(entry.hub) == bool(entry.hub_id)
    assert len(set(entry.label_names)) == len(entry.label_names) > 1
    for layout in layouts(entry):
        splits = [file.split for file in layout.files]
        assert splits[0] == "train"
        assert len(set(splits)) == len(splits)
        assert set(splits) <= set(SPLITS)
        for file in layout.files:
            assert not Path(file.path).is_absolute()
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    hashes = [file.sha256 for layout in layouts(entry) for file in layout.files if file.sha256]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("entry", [*DATASETS.values(), *MODELS.values()], ids=lambda e: e.name)
def test_place_on_the_hub_is_pinned_to_a_commit(entry: DatasetEntry) -> None:
    if entry.hub_id:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id)
        assert re.fullmatch("[0-9a-f]{40}", entry.revision)
    assert entry.title
    assert entry.language
    assert entry.terms


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.filterwarnings("ignore::companion.data.DataWarning")
def test_real_files_have_the_known_hashes_and_rows(
    name: str, real_data: Callable[[str], str]
) -> None:
    data = load_dataset(real_data(name))  # compares every file with its hash
    assert {split: len(rows) for split, rows in data.items()} == ROWS[name]
    for rows in data.values():
        assert tuple(rows.features["label"].names) == DATASETS[name].label_names
        assert set(rows.select_columns("label")[:]["label"]) == set(
            range(len(DATASETS[name].label_names))
        )


def test_label_names_mean_what_the_texts_say(real_data: Callable[[str], str]) -> None:
    def first(name: str, label: str, word: str) -> bool:
        rows = load_dataset(real_data(name))["train"]
        code = rows.features["label"].str2int(label)
        labels = [row["label"] for row in rows.select(range(5000)) if word in row["text"]]
        return sum(n == code for n in labels) > 0.8 * len(labels) > 0

    assert first("sst2", "positive", "beautifully")
    assert first("sst2", "negative", "boring")
    assert first("chnsenticorp", "negative", "太差")
    assert first("thucnews-titles", "sports", "NBA")


def test_online_shopping_warns_of_its_row_without_text(real_data: Callable[[str], str]) -> None:
    with pytest.warns(UserWarning, match="1 row without text left out"):
        load_dataset(real_data("online-shopping"))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sample-")])
def test_samples_load_with_the_names_of_the_registry_from_anywhere(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    data = load_dataset(name)
    assert list(data) == ["train", "dev", "test"]
    assert tuple(data["train"].features["label"].names) == DATASETS[name].label_names
