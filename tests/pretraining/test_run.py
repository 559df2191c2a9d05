"""A pretraining run: what it reads, what it writes, and that nothing changes its result."""

import json
import math
import multiprocessing as mp
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForMaskedLM, AutoTokenizer

from companion.errors import CheckpointError, SettingsError
from companion.model import BertForMaskedLM
from companion.pretraining import MaskedBatches, Masking, PackedCorpus, pretrain
from companion.pretraining import run as running
from companion.pretraining.held_out import HeldOut
from companion.pretraining.result import read_history
from companion.pretraining.speed import flops_per_token, measure_peak, tokens_attended
from companion.pretraining.time_box import Pace, fit_steps, measure_pace
from companion.training import TrainSettings
from tests.pretraining import worker
from tests.repository.files import ROOT

needs_posix = pytest.mark.skipif(
    "forkserver" not in mp.get_all_start_methods(), reason="needs POSIX processes"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> PackedCorpus:
    return worker.small_corpus(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def batches(corpus) -> MaskedBatches:
    return MaskedBatches(corpus.split("train"), corpus.tokenizer, batch_size=8, seed=3)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """A run that nothing disturbed, and its folder."""
    out = tmp_path_factory.mktemp("finished")
    return worker.run(corpus.folder, out), out


def read_all(batches: MaskedBatches, epoch: int) -> list[dict[str, torch.Tensor]]:
    return [batches.collate(rows) for rows in batches.plan(epoch)]


def test_an_epoch_reads_every_row_once_in_an_order_of_its_own(batches):
    rows = len(batches.split)
    orders = [np.concatenate(batches.plan(epoch)) - epoch * rows for epoch in (0, 1)]
    for order in orders:
        assert len(order) == len(batches) * 8 > rows - 8
        assert len(np.unique(order)) == len(order) and 0 <= order.min() <= order.max() < rows
    assert not np.array_equal(*orders)


def test_a_mask_is_a_function_of_seed_epoch_and_row_alone(corpus, batches):
    rows = batches.plan(1)[2]
    whole = batches.collate(rows)
    again = MaskedBatches(corpus.split("train"), corpus.tokenizer, batch_size=4, seed=3)
    for part, cut in enumerate(np.array_split(rows, 3)):
        piece = again.collate(cut)
        at = slice(sum(len(c) for c in np.array_split(rows, 3)[:part]), None)
        for name, tensor in piece.items():
            assert torch.equal(tensor, whole[name][at][: len(cut)]), name
    other_epoch = batches.collate(rows + len(batches.split))
    assert not torch.equal(whole["labels"], other_epoch["labels"])
    restored = [torch.where(b["labels"] == -100, b["input_ids"], b["labels"]) for b in
                (whole, other_epoch)]  # fmt: skip
    assert torch.equal(*restored), "the same text under another mask"


def test_labels_are_the_text_and_are_never_asked_at_special_tokens(corpus, batches):
    special = {0, 1, 2, 3, 4}
    asked = tokens = 0
    for rows, batch in zip(batches.plan(0), read_all(batches, 0), strict=True):
        ids, documents = corpus.split("train").rows(rows)
        at = batch["labels"] != -100
        assert torch.equal(batch["labels"][at], ids[at])
        assert not special & set(batch["labels"][at].tolist())
        assert torch.equal(batch["input_ids"][~at], ids[~at])
        assert torch.equal(batch["attention_mask"], documents)
        asked += int(at.sum())
        tokens += int((ids > 4).sum())
    assert asked / tokens == pytest.approx(0.15, abs=0.02)


def test_a_packed_batch_computes_what_its_documents_compute_alone(batches):
    """Neither attention nor a label crosses a border: each document gives the same by itself."""
    torch.manual_seed(0)
    model = BertForMaskedLM(worker.tiny_config(31, num_hidden_layers=2)).eval()
    batch = batches.collate(batches.plan(0)[0])
    assert int(batch["attention_mask"].max()) > 1, "some row holds several documents"
    with torch.no_grad():
        output = model(**batch)
        losses, found = [], torch.zeros(8, 32, 31)
        for row in range(8):
            for document in range(1, int(batch["attention_mask"][row].max()) + 1):
                at = batch["attention_mask"][row] == document
                alone = {name: batch[name][row, at][None] for name in ("input_ids", "labels")}
                count = int((alone["labels"] != -100).sum())
                losses.append(float(model(**alone).loss) * count)
                found[row, at] = model(alone["input_ids"]).logits[0]
    asked = batch["labels"] != -100
    torch.testing.assert_close(output.logits, found[asked], rtol=1e-4, atol=1e-5)
    assert float(output.loss) == pytest.approx(sum(losses) / int(asked.sum()), rel=1e-4)


@pytest.mark.parametrize("masking", [{"rate": 0.0}, {"rate": 1.5}, {"whole_words": "all"}])
def test_impossible_masking_is_refused(masking):
    with pytest.raises(SettingsError):
        Masking(**masking)


def test_held_out_rows_are_scored_alike_whatever_the_run(corpus):
    torch.manual_seed(0)
    model = BertForMaskedLM(worker.tiny_config(31)).eval()
    one, two = (running.held_out_rows(corpus, 16)(model) for _ in range(2))
    assert one == two
    assert set(one) == {f"dev_{kind}{of}" for kind in ("loss", "accuracy") for of in
                        ("", "_en", "_zh")}  # fmt: skip
    assert one["dev_loss"] == pytest.approx(math.log(31), abs=0.2), "nothing is known yet"
    low, high = sorted((one["dev_loss_en"], one["dev_loss_zh"]))
    assert low <= one["dev_loss"] <= high
    assert not HeldOut({}, corpus.tokenizer)


def test_only_what_is_hidden_is_asked_of_held_out_rows(corpus):
    """Neither a chosen token that was kept nor one that was exchanged counts."""
    for batches in running.held_out_rows(corpus, 16).batches.values():
        for batch in batches:
            hidden = batch["input_ids"] == corpus.tokenizer.mask_id
            assert hidden.any() and torch.equal(batch["labels"] != -100, hidden)


def test_the_formula_counts_the_operations_that_pytorch_counts(corpus):
    config = worker.tiny_config(31, num_hidden_layers=2)
    model = BertForMaskedLM(config).train()
    model.fast = False  # plain matrix products, which the counter knows
    torch.manual_seed(0)
    ids = torch.randint(5, 31, (4, 32))
    labels = ids.masked_fill(torch.arange(32) % 4 != 0, -100)  # a quarter of them
    with FlopCounterMode(display=False) as counter:
        model(ids, labels=labels).loss.backward()
    assert counter.get_total_flops() == pytest.approx(
        ids.numel() * flops_per_token(config, 0.25, 32), rel=1e-6
    )


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=1, max_size=4))
def test_tokens_attended_is_the_mean_length_that_a_token_meets(rows):
    documents = torch.zeros(len(rows), 30, dtype=torch.long)
    for row, lengths in zip(documents, rows, strict=True):
        numbers = [n + 1 for n, length in enumerate(lengths) for _ in range(length)]
        row[: len(numbers)] = torch.tensor(numbers)
    lengths = [length for row in rows for length in row]
    expected = sum(n * n for n in lengths) / sum(lengths)
    assert tokens_attended(documents) == pytest.approx(expected)


def test_the_peak_is_measured(monkeypatch):
    monkeypatch.setattr("companion.pretraining.speed.timed", lambda work, device: 0.5)
    peak = measure_peak(torch.device("cpu"), "fp32", seconds=0.0)
    assert peak == 2 * 1024**3 / 0.5


@given(
    st.floats(0.1, 600), st.floats(0, 60), st.floats(1e-3, 5), st.floats(1e-3, 60)
)  # fmt: skip
def test_the_updates_that_are_fitted_end_within_the_box(minutes, spent, update, evaluation):
    pace = Pace(update, evaluation)
    try:
        steps, every = fit_steps(minutes, spent, pace)
    except SettingsError as error:
        assert "hold no training" in str(error)
        assert 60 * minutes * 0.97 - spent < evaluation + update
        return
    evaluations = math.ceil(steps / every)
    needed = spent + steps * update + evaluations * evaluation
    assert needed <= 60 * minutes
    longer = needed + update + evaluation
    assert longer > 60 * minutes * 0.97 or evaluations == 1 or longer > 60 * minutes * 0.85


def test_measuring_the_pace_leaves_the_model_as_it_was(corpus, batches, tmp_path):
    torch.manual_seed(0)
    model = BertForMaskedLM(worker.tiny_config(31))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = TrainSettings(batch_size=8, precision="fp32", best_metric="dev_loss")
    pace = measure_pace(model, batches, settings, lambda _: {"dev_loss": 1.0}, tmp_path, 0.2)
    assert 0 < pace.update < 60 and 0 < pace.evaluation < 60
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_time_box_is_fitted_once_and_kept_when_resumed(corpus, tmp_path, monkeypatch):
    paces = iter([Pace(update=0.05, evaluation=0.05)])
    monkeypatch.setattr(running, "measure_pace", lambda *_: next(paces))
    options = {**worker.QUICK, "steps": None, "eval_steps": None, "minutes": 0.06}
    first = worker.run(corpus.folder, tmp_path, **options)
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert 3 < plan["steps"] < 72 and first.metrics["updates"] == plan["steps"]
    (tmp_path / "metrics.json").unlink()
    again = worker.run(corpus.folder, tmp_path, resume=True, **options)
    assert again.metrics["updates"] == plan["steps"], "nothing was measured again"
    (tmp_path / "metrics.json").unlink()
    with pytest.raises(SettingsError, match=r"minutes was 0.06, now 5"):
        worker.run(corpus.folder, tmp_path, resume=True, **{**options, "minutes": 5})
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"plan.json is damaged"):
        worker.run(corpus.folder, tmp_path, resume=True, **options)


def test_the_result_loads_in_transformers_and_here_and_computes_the_same(finished):
    result, out = finished
    theirs, tokenizer = (
        AutoModelForMaskedLM.from_pretrained(out),
        AutoTokenizer.from_pretrained(out),
    )
    own = BertForMaskedLM.from_pretrained(out)
    encoding = tokenizer("c d e [MASK] g h", return_tensors="pt")
    assert encoding["input_ids"][0].tolist() == result.tokenizer.encode("c d e [MASK] g h").ids
    with torch.no_grad():
        logits = theirs.eval()(encoding["input_ids"]).logits
        torch.testing.assert_close(own(encoding["input_ids"]).logits, logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            result.model(encoding["input_ids"]).logits, logits, rtol=1e-4, atol=1e-5
        )
    assert own.config.hidden_dropout_prob == 0.1 and not own.training
    assert {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "metrics.json",
            "history.csv", "training_curves.png"} <= {p.name for p in out.iterdir()}  # fmt: skip
    assert not (out / "checkpoints").exists()


def test_the_tokenizer_cuts_texts_where_no_position_was_trained(corpus, finished):
    result, out = finished
    assert result.model.config.max_position_embeddings > corpus.row_length
    assert AutoTokenizer.from_pretrained(out).model_max_length == corpus.row_length


def test_shorter_rows_take_no_position_away_from_the_model_they_start_from(
    corpus, finished, tmp_path
):
    shutil.copytree(finished[1], tmp_path / "start")
    corpus.tokenizer.save(tmp_path / "start", max_length=40)
    run = {**worker.QUICK, "steps": 2}
    result = pretrain(corpus, out=tmp_path / "out", model=tmp_path / "start", **run)
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "out").model_max_length == 40 > corpus.row_length
    )
    assert any("from 40 to 47" in note for note in result.metrics["notes"])


def test_metrics_and_history_say_what_was_done(corpus, finished):
    result, out = finished
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics == result.metrics
    batches = MaskedBatches(corpus.split("train"), corpus.tokenizer, batch_size=8, seed=42)
    steps = [rows for epoch in range(5) for rows in batches.plan(epoch)][:24]
    real = [int((corpus.split("train").rows(r % len(batches.split))[1] != 0).sum()) for r in steps]
    assert result.history.column("tokens") == real, "tokens, not sums of document numbers"
    assert metrics["tokens"] == sum(real) and metrics["updates"] == 24
    speed = metrics["tokens"] / metrics["seconds"]
    assert metrics["tokens_per_second"] == pytest.approx(speed)
    assert metrics["mfu"] == pytest.approx(speed * metrics["flops_per_token"]
                                           / metrics["peak_flops"])  # fmt: skip
    evals = result.history.rows("eval")
    assert [row["step"] for row in evals] == [6, 12, 18, 24]
    assert all(row["tokens_per_second"] > 0 and 0 < row["mfu"] < 1 for row in evals)
    assert metrics["dev"]["dev_loss"] == min(row["dev_loss"] for row in evals)
    assert read_history(out / "history.csv").records == result.history.records


def test_a_second_run_into_the_folder_is_refused_and_a_finished_one_is_read(corpus, finished):
    result, out = finished
    with pytest.raises(SettingsError, match=r"already holds a run.*--resume"):
        worker.run(corpus.folder, out)
    read = worker.run(corpus.folder, out, resume=True)
    assert read.metrics == result.metrics
    assert read.history.records == result.history.records


def test_a_run_starts_from_another_run_or_from_a_model_that_was_changed(corpus, finished, tmp_path):
    result, out = finished
    one = worker.run(corpus.folder, tmp_path / "one", steps=6)
    assert one.history.column("loss")[0] > result.history.column("loss")[-1]
    settings = {**worker.QUICK, "steps": 2, "eval_steps": 1}
    more = pretrain(corpus, out=tmp_path / "more", model=out, **settings)
    given = pretrain(corpus, out=tmp_path / "given", model=result.model, **settings)
    assert more.history.column("loss") == given.history.column("loss")
    assert more.history.column("loss")[0] < one.history.column("loss")[0] - 0.1


def test_the_loss_falls_on_the_shipped_sample(tmp_path):
    config = worker.tiny_config(16000, hidden_size=64, max_position_embeddings=512)
    result = pretrain(
        ["sample-zh", "sample-en"], out=tmp_path, model=config, steps=60, batch_size=16,
        row_length=64, learning_rate=5e-3, precision="fp32", head_start=False, progress=False,
    )  # fmt: skip
    losses = result.history.column("loss")
    assert losses[0] == pytest.approx(math.log(16000), abs=0.3)
    assert sum(losses[-10:]) / 10 < losses[0] - 2
    assert (tmp_path / "corpus" / "manifest.json").is_file()
    texts = {source["language"] for source in result.metrics["corpus"]["sources"]}
    assert texts == {"zh", "en"}


def test_raw_text_is_prepared_once_and_other_text_is_refused(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"{a} {b} c d e f g h" for a in "klmn" for b in "opqr"), "utf-8")
    tokenizer = tmp_path / "tokenizer"
    worker.letters_tokenizer().save(tokenizer)
    options = {**worker.QUICK, "steps": 1, "tokenizer": tokenizer, "row_length": 16}
    config = worker.tiny_config(31)
    pretrain(text, out=tmp_path / "out", model=config, **options)
    made = (tmp_path / "out" / "corpus" / "manifest.json").stat().st_mtime_ns
    for name in ("metrics.json", "plan.json", "config.json"):
        (tmp_path / "out" / name).unlink()
    pretrain(text, out=tmp_path / "out", model=config, **options)
    assert (tmp_path / "out" / "corpus" / "manifest.json").stat().st_mtime_ns == made
    for name in ("metrics.json", "plan.json", "config.json"):
        (tmp_path / "out" / name).unlink()
    text.write_text("another text of a b c d\n", "utf-8")
    with pytest.raises(SettingsError, match=r"was made from text.txt .* Delete it"):
        pretrain(text, out=tmp_path / "out", model=config, **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"minutes": 1, "steps": 1}, "Give minutes or steps, not both"),
        ({"minutes": 0}, "minutes is 0; it must be above 0"),
        ({"steps": 0}, "steps is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dev_rows": 0}, "dev_rows is 0"),
        ({"epochs": 3}, "There is no setting epochs"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 7.0}, "learning_rate is 7.0"),
        ({"mask_rate": 0.0}, "mask rate is 0.0"),
        ({"whole_words": "yes"}, "use no, pieces or jieba"),
        ({"model": "minni"}, 'There is no model "minni": give tiny, mini'),
        ({"model": worker.tiny_config(30)}, "does not fit the model"),
        ({"model": worker.tiny_config(31, max_position_embeddings=16)}, "rows of 32 positions"),
        ({"row_length": 64}, "has rows of 32 positions, not 64"),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(corpus, tmp_path, options, sentence):
    error = CheckpointError if "does not fit" in sentence else SettingsError
    with pytest.raises(error, match=sentence):
        pretrain(
            corpus.folder, out=tmp_path / "out", **{"model": worker.tiny_config(31), **options}
        )
    assert not (tmp_path / "out").exists()


@needs_posix
def test_kills_at_random_steps_change_nothing(corpus, finished, tmp_path):
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["tests.pretraining.worker"])
    steps = random.Random(0)
    counter = context.Value("i", 0)
    for life in range(3):
        counter.value = 0
        process = context.Process(target=worker.run, args=(corpus.folder, tmp_path, True, counter))
        process.start()
        # A run saves every third step, so each life gets further than the one before.
        until, deadline = steps.randint(5, 8), time.monotonic() + 120
        while counter.value < until and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.0005)
        process.kill()
        process.join()
        assert process.exitcode == -9, "killed before it was done"
        assert life == 0 or list((tmp_path / "checkpoints").glob("step-*"))
    process = context.Process(target=worker.run, args=(corpus.folder, tmp_path, True))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    unbroken, resumed = (load_file(f / "model.safetensors") for f in (finished[1], tmp_path))
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    losses = [read_history(f / "history.csv").column("loss") for f in (finished[1], tmp_path)]
    assert losses[0] == losses[1] and len(losses[0]) == 24


@needs_posix
@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(corpus, tmp_path):
    """The same global batch, cut in two, under `accelerate launch` with gloo on this machine."""
    alone = pretrain(
        corpus, out=tmp_path / "one", model=worker.tiny_config(31), dropout=0.0, **worker.QUICK
    )
    command = [
        sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu",
        "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
        "--dynamo_backend", "no", "--main_process_port", "0", "-m", "tests.pretraining.worker",
        str(corpus.folder), str(tmp_path / "two"),
    ]  # fmt: skip
    environment = {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text("utf-8"))
    assert metrics["processes"] == 2
    history = read_history(tmp_path / "two" / "history.csv")
    for kind, name in (("train", "loss"), ("train", "tokens"), ("eval", "dev_loss_en")):
        np.testing.assert_allclose(
            history.column(name, kind), alone.history.column(name, kind), rtol=2e-4
        )
