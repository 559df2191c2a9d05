"""The order of places, what is said when all of them fail, and that nothing is substituted."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from companion.data import DATASETS, MODELS, load_dataset, locate_model
from companion.data import hub as hub_module
from companion.data.hub import sha256_of, verify_download
from companion.data.registry import Layout, TableFile
from companion.errors import DataError, NotFoundError

TABLE = "label\ttext_a\n1\t很好\n0\t不好\n"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing here may ask a real hub or read its cache."""
    monkeypatch.setattr(hub_module.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub_module.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def place_chnsenticorp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small stand-in for ChnSentiCorp whose hashes the registry knows."""
    (folder / "chnsenticorp").mkdir(parents=True)
    files = []
    for split in ("train", "dev", "test"):
        path = folder / "chnsenticorp" / f"{split}.tsv"
        path.write_text(TABLE, encoding="utf-8")
        files.append(TableFile(split, path.name, hashlib.sha256(path.read_bytes()).hexdigest()))
    layout = Layout(tuple(files), text_column="text_a")
    entry = replace(DATASETS["chnsenticorp"], local=layout)
    monkeypatch.setitem(DATASETS, "chnsenticorp", entry)
    monkeypatch.setenv("COMPANION_DATA", str(folder))


def test_folder_companion_data_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place_chnsenticorp(tmp_path / "data", monkeypatch)
    data = load_dataset("chnsenticorp")
    assert data["test"][:] == {"text": ["很好", "不好"], "label": [1, 0]}
    assert data["test"].features["label"].names == ["negative", "positive"]
    assert load_dataset("lansinuote/ChnSentiCorp")["test"][:] == data["test"][:]


def test_other_file_than_the_registry_knows_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place_chnsenticorp(tmp_path / "data", monkeypatch)
    path = tmp_path / "data" / "chnsenticorp" / "dev.tsv"
    load_dataset("chnsenticorp")
    path.write_text(TABLE.replace("很好", "很坏"), encoding="utf-8")
    with pytest.raises(DataError, match=r"dev\.tsv is not the file the registry knows") as caught:
        load_dataset("chnsenticorp")
    for digest in (hashlib.sha256(path.read_bytes()), hashlib.sha256(TABLE.encode())):
        assert digest.hexdigest() in str(caught.value)
    assert len(load_dataset(path, text_column="text_a")["train"]) == 2


def test_hash_is_remembered_until_the_file_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    reads = []
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        reads.append(name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert [sha256_of(path), sha256_of(path)] == [hashlib.sha256(b"one").hexdigest()] * 2
    assert len(reads) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 0))
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()


def test_download_is_checked_by_the_first_link_only(tmp_path: Path) -> None:
    # The hub's cache may keep a file once for several repositories, under a hash of another kind.
    shared = tmp_path / "shared" / ("a" * 64)
    shared.parent.mkdir()
    shared.write_bytes(b"content")
    blob = tmp_path / "blobs" / hashlib.sha256(b"content").hexdigest()
    blob.parent.mkdir()
    blob.symlink_to(shared)
    (tmp_path / "model.safetensors").symlink_to(blob)
    verify_download(tmp_path / "model.safetensors")
    shared.write_bytes(b"damaged")
    with pytest.raises(DataError, match=f"Delete {shared} and run again"):
        verify_download(tmp_path / "model.safetensors")


@pytest.mark.parametrize("header", [b"blob 7\0", b""])
def test_small_download_is_checked_by_either_sha1(header: bytes, tmp_path: Path) -> None:
    blob = tmp_path / hashlib.sha1(header + b"content").hexdigest()
    blob.write_bytes(b"content")
    (tmp_path / "config.json").symlink_to(blob)
    verify_download(tmp_path / "config.json")
    blob.write_bytes(b"damaged")
    with pytest.raises(DataError, match="was damaged"):
        verify_download(tmp_path / "config.json")


def test_when_all_places_fail_each_is_listed_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_dataset("sst2")
    assert str(caught.value).splitlines() == [
        "The data set 'sst2' was not found. Places tried, in this order:",
        "  1. the folder COMPANION_DATA: the variable is not set",
        f"  2. the Hugging Face hub ({hub_module.constants.ENDPOINT}): it is switched off "
        "(HF_HUB_OFFLINE), and its cache does not hold the file data/train-00000-of-00001.parquet",
        "To mend it: set COMPANION_DATA to a folder that holds sst2/ with train.tsv, dev.tsv, "
        "or try again with a network.",
    ]
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "dev.tsv").touch()
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/sst2 has no train.tsv\n"):
        load_dataset("sst2")


@pytest.mark.parametrize("name", ["thucnews-titles", "online-shopping"])
def test_without_an_address_on_the_hub_the_folder_is_the_only_remedy(name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_dataset(name)
    assert "no address of this data set there is known" in str(caught.value)
    assert "network" not in str(caught.value)
    layout = DATASETS[name].local
    assert layout
    assert all(file.path in str(caught.value) for file in layout.files)


def test_registered_name_never_means_a_folder_that_lies_here(tmp_path: Path) -> None:
    (tmp_path / "imdb").mkdir()
    (tmp_path / "imdb" / "train.csv").write_text("text,label\na,x\nb,y\n")
    with pytest.raises(NotFoundError, match=r"to use the imdb that lies here, write \./imdb\."):
        load_dataset("imdb")
    assert load_dataset("./imdb")["train"]["text"][:] == ["a", "b"]
    assert load_dataset(Path("imdb"))["train"]["text"][:] == ["a", "b"]


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_model_from_a_path_then_from_companion_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = write_model(tmp_path / "own" / "model")
    assert locate_model(own) == own
    assert locate_model("own/model") == Path("own/model")
    placed = write_model(tmp_path / "data" / "rbt3")
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "data"))
    assert locate_model("rbt3") == locate_model("hfl/rbt3") == placed


def test_folder_without_a_configuration_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(NotFoundError, match=r"run is no model: it holds no config\.json"):
        locate_model("run")


def test_unknown_model_gets_the_known_names_and_a_guess() -> None:
    with pytest.raises(NotFoundError) as caught:
        locate_model("bert-base-chines")
    assert "Did you mean 'bert-base-chinese'?" in str(caught.value)
    assert all(name in str(caught.value) for name in MODELS)


def test_missing_model_lists_each_place(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        locate_model("somebody/some-model")
    first, folder, online, remedy = str(caught.value).splitlines()
    assert first.startswith("The model 'somebody/some-model' was not found.")
    assert folder == "  1. a folder somebody/some-model: there is none"
    assert "its cache does not hold the model" in online
    assert "config.json, model.safetensors" in remedy
