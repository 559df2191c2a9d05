"""A table that cannot be used is refused with a sentence: the file, the line, the remedy."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.data import DataWarning, load_dataset
from companion.errors import CompanionError, DataError, NotFoundError, SettingsError
from tests.data.bad_tables import BAD_TABLES, GOOD, SOUND_PARQUET, BadTable


@pytest.mark.parametrize("bad", BAD_TABLES, ids=lambda bad: bad.case)
@pytest.mark.filterwarnings("ignore::companion.data.DataWarning")
def test_bad_table_is_refused_with_file_place_and_remedy(bad: BadTable, tmp_path: Path) -> None:
    path = tmp_path / bad.name
    path.write_bytes(bad.content)
    with pytest.raises(DataError) as caught:
        load_dataset(path, **bad.options)
    sentence = str(caught.value)
    for part in (str(path), *bad.says):
        assert part in sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_errors_can_be_caught_as_value_errors(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(ValueError):
        load_dataset(tmp_path / "a.csv")


def test_missing_file_is_not_found_with_the_known_names() -> None:
    with pytest.raises(NotFoundError, match=r"'no/such\.csv' is neither a file or folder.*imdb"):
        load_dataset("no/such.csv")
    with pytest.raises(FileNotFoundError, match="Did you mean 'chnsenticorp'"):
        load_dataset("chnsenticrop")


def test_unknown_encoding_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    with pytest.raises(SettingsError, match=r"no encoding 'utf8000'.*gb18030"):
        load_dataset(tmp_path / "a.csv", encoding="utf8000")


def test_options_for_a_registered_data_set_are_refused() -> None:
    with pytest.raises(SettingsError, match="sample-en is a registered data set"):
        load_dataset("sample-en", text_column="review")


def test_empty_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(GOOD + ",bad\n \t ,good\n")
    with pytest.warns(DataWarning, match=r"a\.csv: 2 rows without text left out.* line 5\."):
        data = load_dataset(path)
    assert data["train"]["text"][:] == ["fine", "poor", "lovely"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = load_dataset(path, keep_empty=True)
    assert kept["train"]["text"][:] == ["fine", "poor", "lovely", "", " \t "]


def test_missing_text_in_jsonl_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text":"a","label":1}\n{"text":null,"label":0}\n{"label":0}\n{"text":"b","label":0}\n'
    )
    with pytest.warns(DataWarning, match="2 rows without text left out, the first at line 2"):
        assert len(load_dataset(path)["train"]) == 2


def test_labels_of_a_classifier_bind_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label,split\nfine,good,test\n")
    data = load_dataset(path, labels=["poor", "good"])
    assert data["test"].features["label"].names == ["poor", "good"]
    assert data["test"]["label"][:] == [1]
    with pytest.raises(DataError, match="line 2: the label 'good' is none of the classes a, b"):
        load_dataset(path, labels=["a", "b"])


def test_folder_with_two_tables_for_a_split_is_refused(tmp_path: Path) -> None:
    for name in ("train.csv", "val.csv", "dev.jsonl"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(DataError, match=r"two tables for dev: dev\.jsonl and val\.csv"):
        load_dataset(tmp_path)


def test_folder_without_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text(GOOD)
    with pytest.raises(DataError, match=r"no table named after a split.*use reviews\.csv"):
        load_dataset(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary(max_size=200) | st.binary(max_size=60).map(GOOD.encode().__add__),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl", ".csv.gz", ".parquet"]),
)
@pytest.mark.filterwarnings("ignore::companion.data.DataWarning")
def test_any_bytes_are_loaded_or_refused_but_never_crash(
    content: bytes, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    try:
        data = load_dataset(path)
    except CompanionError as error:
        assert str(path) in str(error)
    else:
        assert len(data["train"]) > 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, len(SOUND_PARQUET) - 1), value=st.integers(0, 255))
@pytest.mark.filterwarnings("ignore::companion.data.DataWarning")
def test_parquet_with_a_changed_byte_never_crashes(
    position: int, value: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(SOUND_PARQUET[:position] + bytes([value]) + SOUND_PARQUET[position + 1 :])
    try:
        load_dataset(path)
    except CompanionError as error:
        assert str(path) in str(error)
