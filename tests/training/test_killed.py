"""SIGKILL at random steps and inside saves: the resumed run equals the unbroken one exactly."""

import multiprocessing as mp
import random
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from companion.errors import CheckpointError
from tests.training import worker

pytestmark = pytest.mark.skipif(
    "forkserver" not in mp.get_all_start_methods(), reason="needs POSIX processes"
)


@pytest.fixture(scope="module")
def start():
    """Start a run in a process of its own, which has torch loaded already."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.worker"])

    def start_run(out: Path, resume: bool, *more: object) -> mp.Process:
        process = context.Process(target=worker.run, args=(out, resume, *more))
        process.start()
        return process

    return start_run


@pytest.fixture(scope="module")
def unbroken(start, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    process = start(out, False)
    process.join(120)
    assert process.exitcode == 0
    return load_file(out / "final.safetensors")


def finish(start, out: Path, *more: object) -> dict[str, torch.Tensor]:
    process = start(out, True, *more)
    process.join(120)
    assert process.exitcode == 0
    return load_file(out / "final.safetensors")


def assert_equal(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def test_ten_kills_at_random_steps_change_nothing(start, unbroken, tmp_path):
    steps = random.Random(0)
    counter = mp.get_context("forkserver").Value("i", 0)
    for _ in range(10):
        counter.value = 0
        process = start(tmp_path, True, None, counter)
        # A run saves every third step, so each life gets a little further than the one before.
        life = steps.randint(4, 8)
        deadline = time.monotonic() + 60
        while counter.value < life and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.0005)
        process.kill()
        process.join()
        assert process.exitcode == -9, "killed before it was done"
    assert list((tmp_path / "checkpoints").glob("step-*"))
    assert_equal(finish(start, tmp_path), unbroken)


# A save flushes six files and then their folder; the second save of a run starts at write 8.
@pytest.mark.parametrize("write", [1, 2, 3, 4, 5, 8, 9, 12, 20])
def test_a_kill_inside_a_save_changes_nothing(start, unbroken, tmp_path, write):
    process = start(tmp_path, False, write)
    process.join(120)
    assert process.exitcode == -9
    assert_equal(finish(start, tmp_path), unbroken)


def test_a_kill_changes_nothing_with_rates_by_layer_and_averaged_weights(start, unbroken, tmp_path):
    """The averages are a seventh file of every save: write 11 is in the second one."""
    options = {"layer_decay": 0.8, "average_weights": "auto"}
    whole = finish(start, tmp_path / "whole", None, None, options)
    assert not torch.equal(whole["classifier.weight"], unbroken["classifier.weight"])
    for write in (11, 40):
        process = start(tmp_path / "killed", True, write, None, options)
        process.join(120)
        assert process.exitcode == -9
    assert list((tmp_path / "killed").rglob("average.safetensors"))
    assert_equal(finish(start, tmp_path / "killed", None, None, options), whole)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(start, unbroken, tmp_path):
    start(tmp_path, False, 20).join(120)
    steps = sorted((tmp_path / "checkpoints").glob("step-????????"))
    assert len(steps) == 2
    weights = steps[-1] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_equal(finish(start, tmp_path), unbroken)


def test_when_every_checkpoint_is_damaged_the_sentence_says_so(start, tmp_path):
    start(tmp_path, False, 20).join(120)
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.write_text("{")
    # A manifest that cannot be read is damage too.
    with pytest.raises(CheckpointError, match=r"No checkpoint in .* is whole"):
        worker.run(tmp_path, True)
