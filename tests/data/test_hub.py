"""Downloads from a hub on 127.0.0.1, each in a process of its own, as a reader's would run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from companion.data import DATASETS, MODELS
from tests.hub_server import HubServer

LOAD = """
import json, sys
from companion.data import load_dataset
from companion.errors import CompanionError
try:
    data = load_dataset(sys.argv[1])
    print(json.dumps({split: rows[:2] for split, rows in data.items()}))
except CompanionError as error:
    print(type(error).__name__, error)
"""
LOCATE = """
import sys
from companion.data import locate_model
from companion.errors import CompanionError
try:
    folder = locate_model(sys.argv[1])
    print(folder.name, *sorted(path.name for path in folder.iterdir()))
except CompanionError as error:
    print(type(error).__name__, error)
"""
ENTRY = DATASETS["chnsenticorp"]


class Reader:
    """A machine with an empty cache of its own."""

    def __init__(self, hub: HubServer, home: Path) -> None:
        self.environment = {**os.environ, **hub.environment(home), "OMP_NUM_THREADS": "1"}
        self.environment.pop("COMPANION_DATA", None)
        self.home = home

    def run(self, program: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def write_table(path: Path, split: str) -> None:
    """A Parquet file of more than 10,000 bytes, which the hub names by SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"{split} 文本 {i} {os.urandom(4).hex()}" for i in range(1000)]
    pq.write_table(pa.table({"text": texts, "label": [i % 2 for i in range(1000)]}), path)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A hub with ChnSentiCorp (stand-in), an SST-2 that is not the real one, and two models."""
    datasets, models = tmp_path / "hub" / "datasets", tmp_path / "hub" / "models"
    assert ENTRY.hub
    assert ENTRY.hub_id
    for file in ENTRY.hub.files:
        write_table(datasets / ENTRY.hub_id / file.path, file.split)
    write_table(datasets / "stanfordnlp/sst2/data/train-00000-of-00001.parquet", "train")
    write_table(datasets / "stanfordnlp/sst2/data/validation-00000-of-00001.parquet", "dev")
    for name in ("bert-base-chinese", "rbt3"):
        folder = models / MODELS[name].hub_id
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "vocab.txt").write_text("[PAD]\n")
        (folder / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "onnx").mkdir()
        (folder / "onnx" / "config.json").write_text("{}")
    safetensors = models / MODELS["bert-base-chinese"].hub_id / "model.safetensors"
    safetensors.write_bytes(os.urandom(50_000))
    with HubServer(tmp_path / "hub") as server:
        yield server


@pytest.fixture
def reader(hub: HubServer, tmp_path: Path) -> Reader:
    return Reader(hub, tmp_path / "home")


def test_download_then_cache_with_the_server_gone(hub: HubServer, reader: Reader) -> None:
    first = reader.run(LOAD, "chnsenticorp")
    data = json.loads(first)
    assert data["dev"]["text"][0].startswith("dev 文本 0")
    assert list(data) == ["train", "dev", "test"]
    asked = [line for line in hub.requests if line.startswith("GET")]
    assert len(asked) == 3
    assert all(f"/resolve/{ENTRY.revision}/data/" in line for line in asked)
    hub.requests.clear()
    assert reader.run(LOAD, "chnsenticorp") == first
    assert hub.requests == []
    hub.stop()
    assert reader.run(LOAD, "chnsenticorp") == first


def test_companion_data_comes_before_the_hub(
    hub: HubServer, reader: Reader, tmp_path: Path
) -> None:
    write_table(tmp_path / "data" / "ag-news" / "train.parquet", "train")
    write_table(tmp_path / "data" / "ag-news" / "test.parquet", "test")
    found = reader.run(LOAD, "ag-news", COMPANION_DATA=str(tmp_path / "data"))
    assert json.loads(found)["test"]["text"][0].startswith("test 文本 0")
    assert hub.requests == []


def test_no_server_is_said_at_once(hub: HubServer, reader: Reader) -> None:
    hub.stop()
    said = reader.run(LOAD, "chnsenticorp")
    assert said.startswith("NotFoundError The data set 'chnsenticorp' was not found.")
    assert f"({hub.url}): it could not be reached" in said
    assert "try again with a network" in said


def test_file_that_the_hub_lacks(hub: HubServer, reader: Reader, tmp_path: Path) -> None:
    assert ENTRY.hub
    test = ENTRY.hub.files[2].path
    (tmp_path / "hub" / "datasets" / str(ENTRY.hub_id) / test).unlink()
    said = reader.run(LOAD, "chnsenticorp")
    assert said.startswith("NotFoundError")
    assert f"does not have the file {test} of {ENTRY.hub_id} at revision {ENTRY.revision}" in said
    assert "network" not in said


def test_repository_that_the_hub_lacks(reader: Reader) -> None:
    assert "it has no public repository fancyzhx/ag_news" in reader.run(LOAD, "ag-news")


def test_server_in_trouble(hub: HubServer, reader: Reader) -> None:
    assert ENTRY.hub
    hub.faults[Path(ENTRY.hub.files[0].path).name] = 503
    assert "it answered with the HTTP status 503" in reader.run(LOAD, "chnsenticorp")
    assert len(hub.requests) == 1  # one question, and none of the retries that take minutes


def test_connection_dropped_once_is_resumed(hub: HubServer, reader: Reader) -> None:
    assert ENTRY.hub
    hub.faults[Path(ENTRY.hub.files[0].path).name] = "drop-once"
    assert json.loads(reader.run(LOAD, "chnsenticorp"))["train"]["text"][0].startswith("train")
    assert sum(line.startswith("GET") for line in hub.requests) == 4


@pytest.mark.slow
def test_connection_dropped_for_good_leaves_nothing_behind(hub: HubServer, reader: Reader) -> None:
    assert ENTRY.hub
    hub.faults[Path(ENTRY.hub.files[0].path).name] = "drop"
    said = reader.run(LOAD, "chnsenticorp")
    assert said.startswith("NotFoundError")
    assert "the connection broke" in said
    hub.faults.clear()
    assert json.loads(reader.run(LOAD, "chnsenticorp"))["train"]["text"][0].startswith("train")


def test_file_with_another_hash_than_the_registry_knows(reader: Reader) -> None:
    said = reader.run(LOAD, "sst2")
    known = DATASETS["sst2"].hub
    assert known
    assert said.startswith("DataError")
    assert "train-00000-of-00001.parquet is not the file the registry knows" in said
    assert str(known.files[0].sha256) in said


@pytest.mark.parametrize("name", ["chnsenticorp", "bert-base-chinese"])
def test_file_damaged_on_its_way_is_refused_until_it_is_deleted(
    name: str, hub: HubServer, reader: Reader
) -> None:
    assert ENTRY.hub
    program, file = (
        (LOAD, Path(ENTRY.hub.files[0].path).name)
        if name == "chnsenticorp"
        else (LOCATE, "config.json")
    )
    hub.faults[file] = "corrupt"
    for _ in range(2):
        said = reader.run(program, name)
        assert said.startswith("DataError")
        assert "was damaged on its way or on the disk" in said
    blob = Path(said.partition("Delete ")[2].removesuffix(" and run again."))
    assert reader.home in blob.parents
    blob.unlink()
    hub.faults.clear()
    assert not reader.run(program, name).startswith("DataError")


def test_model_is_fetched_without_pickles_then_found_offline(
    hub: HubServer, reader: Reader
) -> None:
    entry = MODELS["bert-base-chinese"]
    found = reader.run(LOCATE, "bert-base-chinese")
    assert found == f"{entry.revision} config.json model.safetensors vocab.txt"
    assert not any("pytorch_model" in line or "/onnx/" in line for line in hub.requests)
    hub.stop()
    assert reader.run(LOCATE, entry.hub_id) == found
    assert reader.run(LOCATE, "bert-base-chinese", HF_HUB_OFFLINE="1") == found


def test_model_that_is_only_a_pickle_is_not_fetched(hub: HubServer, reader: Reader) -> None:
    said = reader.run(LOCATE, "rbt3")
    assert said.startswith("NotFoundError The model 'rbt3' was not found.")
    assert "weights kept as a pickle are never loaded" in said
    assert not any("pytorch_model" in line for line in hub.requests)


def test_half_a_model_in_the_cache_is_completed(hub: HubServer, reader: Reader) -> None:
    hub.faults["model.safetensors"] = 404
    assert "it does not have the model of google-bert/" in reader.run(LOCATE, "bert-base-chinese")
    hub.faults.clear()
    assert "model.safetensors" in reader.run(LOCATE, "bert-base-chinese")


@pytest.mark.slow
def test_transformers_loads_a_model_and_its_tokenizer_from_this_hub(
    hub: HubServer, reader: Reader, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path / "hub" / "models" / "somebody" / "tiny"
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "你", "好"]))
    config = BertConfig(vocab_size=7, hidden_size=16, num_hidden_layers=1, intermediate_size=32)
    config.num_attention_heads = 2
    BertModel(config).save_pretrained(folder)
    BertTokenizer(vocab=str(vocabulary)).save_pretrained(folder)
    program = (
        "from transformers import AutoModel, AutoTokenizer\n"
        "batch = AutoTokenizer.from_pretrained('somebody/tiny')('你好', return_tensors='pt')\n"
        "model = AutoModel.from_pretrained('somebody/tiny')\n"
        "print(batch['input_ids'].tolist(), tuple(model(**batch).last_hidden_state.shape))"
    )
    assert reader.run(program) == "[[2, 5, 6, 3]] (1, 4, 16)"
