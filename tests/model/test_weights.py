"""Folders pass between the book's BERT and Hugging Face's, whole or not at all."""

import json
import logging
import os
import resource
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from companion.errors import CheckpointError
from companion.model import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    weights,
)

from .reference import CONFIGS, KINDS, inputs, pair

CONFIG = CONFIGS["three heads"]
TABLE = "embeddings.word_embeddings.weight"


def same(left, right, batch=None):
    """Equal outputs of two models on one batch."""
    batch = batch or inputs(CONFIG, [7, 3])
    found, wanted = left.eval()(**batch), right.eval()(**batch)
    for name in ("logits", "prediction_logits", "seq_relationship_logits", "pooler_output"):
        if getattr(wanted, name, None) is not None:
            real = batch["attention_mask"] == 1
            pick = real if getattr(wanted, name).dim() == 3 else slice(None)
            torch.testing.assert_close(
                getattr(found, name)[pick], getattr(wanted, name)[pick], atol=1e-5, rtol=1e-5
            )


def edit(folder, change):
    """Rewrite the weights file after `change(tensors)`."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def saved(tmp_path):
    """A folder with our BertForPreTraining, and the model."""
    torch.manual_seed(0)
    model = BertForPreTraining(CONFIG)
    model.save_pretrained(tmp_path)
    return tmp_path, model


@pytest.mark.parametrize("size", ["5GB", "20KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_theirs_is_read(tmp_path, kind, size):
    theirs, _ = pair(CONFIG, kind)
    theirs.save_pretrained(tmp_path, max_shard_size=size)
    assert (tmp_path / "model.safetensors").exists() == (size == "5GB")
    ours = KINDS[kind].from_pretrained(tmp_path)
    assert not ours.training and ours.new_parameters == []
    same(ours, theirs)


@pytest.mark.parametrize("size", ["5GB", "20KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_ours_is_read_by_transformers(tmp_path, kind, size):
    _, ours = pair(CONFIG, kind)
    ours.save_pretrained(tmp_path, max_shard_size=size)
    auto = {
        "BertModel": transformers.AutoModel,
        "BertForPreTraining": transformers.AutoModelForPreTraining,
        "BertForMaskedLM": transformers.AutoModelForMaskedLM,
        "BertForSequenceClassification": transformers.AutoModelForSequenceClassification,
    }[kind]
    theirs, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert type(theirs).__name__ == kind
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    same(ours, theirs)
    same(KINDS[kind].from_pretrained(tmp_path), ours)
    body = transformers.AutoModel.from_pretrained(tmp_path)
    states = body.eval()(**inputs(CONFIG, [5])).last_hidden_state
    ours_body = getattr(ours, "bert", ours)
    found = ours_body(**inputs(CONFIG, [5])).last_hidden_state
    torch.testing.assert_close(found, states, atol=1e-5, rtol=1e-5)


def test_names_of_old_checkpoints_are_understood(saved):
    folder, model = saved

    def age(tensors):
        for name in list(tensors):
            if "LayerNorm" in name:
                old = name.replace(".weight", ".gamma").replace(".bias", ".beta")
                tensors[old] = tensors.pop(name)
        tensors["bert.embeddings.position_ids"] = torch.arange(512)[None]
        tensors["cls.predictions.decoder.weight"] = tensors["bert." + TABLE].clone()
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")

    edit(folder, age)
    same(BertForPreTraining.from_pretrained(folder), model)


def test_the_prefix_may_be_there_or_not(saved):
    folder, model = saved
    same(BertModel.from_pretrained(folder), model.bert)  # "bert." in the file, not in the model
    model.bert.save_pretrained(folder)
    assert TABLE in load_file(folder / "model.safetensors")
    classifier = BertForSequenceClassification.from_pretrained(folder)
    same(classifier.bert, model.bert)


def test_the_token_table_may_be_stored_as_the_decoder(saved):
    folder, model = saved
    edit(
        folder,
        lambda t: t.update({"cls.predictions.decoder.weight": t.pop("bert." + TABLE)}),
    )
    same(BertForPreTraining.from_pretrained(folder), model)


def test_a_decoder_of_its_own_is_refused(saved):
    folder, _ = saved
    edit(folder, lambda t: t.update({"cls.predictions.decoder.weight": t["bert." + TABLE] + 1}))
    with pytest.raises(CheckpointError, match="decoder of their own"):
        BertForPreTraining.from_pretrained(folder)


def test_missing_unexpected_and_misshapen_names_are_listed_together(saved):
    folder, _ = saved

    def damage(tensors):
        del tensors["bert.encoder.layer.1.output.dense.bias"]
        tensors["bert.encoder.layer.2.output.dense.bias"] = torch.zeros(48)
        tensors["bert.pooler.dense.weight"] = torch.zeros(48, 47)
        tensors["bert.pooler.dense.bias"] = torch.zeros(48, dtype=torch.int8)

    edit(folder, damage)
    with pytest.raises(CheckpointError) as caught:
        BertForPreTraining.from_pretrained(folder)
    message = str(caught.value)
    for part in (
        str(folder),
        "BertForPreTraining",
        "1 missing (encoder.layer.1.output.dense.bias)",
        "1 unexpected (encoder.layer.2.output.dense.bias)",
        "1 misshapen (pooler.dense.weight (48, 47) instead of (48, 48))",
        "1 not of a floating-point type (pooler.dense.bias)",
        "config.json",
    ):
        assert part in message


def test_a_config_of_another_size_is_refused(saved):
    folder, _ = saved
    with pytest.raises(CheckpointError, match=r"misshapen \(embeddings\.word_embeddings\.weight"):
        BertModel.from_pretrained(folder, vocab_size=98)
    with pytest.raises(CheckpointError, match=r"unexpected \(encoder\.layer\.1\."):
        BertModel.from_pretrained(folder, num_hidden_layers=1)


def test_a_foreign_part_is_unexpected(saved):
    folder, _ = saved
    edit(folder, lambda t: t.update({"adapter.weight": torch.zeros(3)}))
    with pytest.raises(CheckpointError, match=r"1 unexpected \(adapter\.weight\)"):
        BertModel.from_pretrained(folder)


def test_a_new_classifier_is_announced(saved, caplog):
    folder, model = saved
    with caplog.at_level(logging.WARNING):
        classifier = BertForSequenceClassification.from_pretrained(folder, num_labels=7)
    assert classifier.new_parameters == ["classifier.weight", "classifier.bias"]
    assert "classifier.weight" in caplog.text and str(folder) in caplog.text
    assert classifier.classifier.weight.shape == (7, 48)
    same(classifier.bert, model.bert)


def test_a_classifier_of_other_classes_is_refused_unless_a_new_one_is_asked_for(tmp_path):
    model = BertForSequenceClassification(CONFIG)
    model.save_pretrained(tmp_path)
    same(BertForSequenceClassification.from_pretrained(tmp_path), model)
    with pytest.raises(CheckpointError, match=r"classifier\.weight \(5, 48\).*new_head=True"):
        BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    new = BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3, new_head=True)
    assert new.new_parameters == ["classifier.weight", "classifier.bias"]


def test_heads_that_cannot_start_at_random_must_be_there(tmp_path):
    BertModel(CONFIG).save_pretrained(tmp_path)
    for kind in (BertForMaskedLM, BertForPreTraining):
        with pytest.raises(CheckpointError, match=r"missing \(cls\.predictions\.bias"):
            kind.from_pretrained(tmp_path)


def test_half_precision_files_are_read_as_float32(saved):
    folder, model = saved
    whole = (folder / "model.safetensors").stat().st_size
    model.save_pretrained(folder, dtype=torch.float16)
    assert (folder / "model.safetensors").stat().st_size < 0.6 * whole
    again = BertForPreTraining.from_pretrained(folder)
    for name, parameter in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], parameter.half().float())


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_a_file_cut_short_is_named(saved, keep):
    folder, _ = saved
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is cut short or damaged"):
        BertModel.from_pretrained(folder)


def test_a_lost_or_damaged_shard_is_named(tmp_path):
    BertModel(CONFIG).save_pretrained(tmp_path, max_shard_size="20KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    text = (tmp_path / "model.safetensors.index.json").read_text()
    shards[1].write_bytes(shards[1].read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=shards[1].name + " is cut short"):
        BertModel.from_pretrained(tmp_path)
    shards[1].unlink()
    with pytest.raises(CheckpointError, match=shards[1].name + " is missing"):
        BertModel.from_pretrained(tmp_path)
    outside = json.loads(text)
    outside["weight_map"][TABLE] = "../model.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(outside))
    with pytest.raises(CheckpointError, match="points outside its folder"):
        BertModel.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="no index of shards"):
        BertModel.from_pretrained(tmp_path)


def test_folders_without_weights_say_what_they_lack(saved, tmp_path_factory):
    folder, _ = saved
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        BertModel.from_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(CheckpointError, match=r"only pytorch_model\.bin, a pickle"):
        BertModel.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="is not a folder"):
        BertModel.from_pretrained(folder / "nowhere")


def test_saving_again_leaves_one_model_and_every_other_file(saved):
    folder, model = saved
    (folder / "vocab.txt").write_text("kept", encoding="utf-8")
    (folder / "model_card.md").write_text("kept", encoding="utf-8")
    (folder / ".model-0.safetensors.partial").write_text("left by a kill")
    for size in ("20KB", "20KB", "5GB"):
        model.save_pretrained(folder, max_shard_size=size)
        names = {path.name for path in folder.iterdir()}
        assert {"vocab.txt", "model_card.md", "config.json"} <= names
        assert not any("partial" in name for name in names)
        assert ("model.safetensors" in names) == (size == "5GB")
        (folder / "vocab.txt").rename(folder / "aside")
        same(BertForPreTraining.from_pretrained(folder), model)
        (folder / "aside").rename(folder / "vocab.txt")
    assert names == {"vocab.txt", "model_card.md", "config.json", "model.safetensors"}


@pytest.mark.parametrize("size", ["5GB", "20KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("step", [*range(1, 8)])
def test_a_kill_at_any_rename_leaves_a_whole_model(saved, monkeypatch, size, step):
    """The old weights or the new ones, never a mixture; a kill is an exception nobody catches."""
    folder, old = saved
    torch.manual_seed(1)
    new = BertForPreTraining(CONFIG)
    done = 0

    class KilledError(BaseException):
        pass

    rename = weights.Path.replace

    def killed(path, target):
        nonlocal done
        done += 1
        if done == step:
            raise KilledError
        return rename(path, target)

    old.save_pretrained(folder, max_shard_size=size)
    monkeypatch.setattr(weights.Path, "replace", killed)
    try:
        new.save_pretrained(folder, max_shard_size=size)
    except KilledError:
        pass
    else:
        assert step > 2 and size == "5GB"
    monkeypatch.undo()
    found = BertForPreTraining.from_pretrained(folder).state_dict()
    versions = [
        all(torch.equal(found[name], x) for name, x in model.state_dict().items())
        for model in (old, new)
    ]
    assert sum(versions) == 1


def test_a_full_disk_is_a_sentence_and_keeps_the_old_model(saved):
    """A limit on the size of files stands in for the disk: the operating system refuses."""
    folder, model = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"could not be written.*free some space"):
            model.save_pretrained(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not be written"):
        BertModel(CONFIG).save_pretrained(tmp_path / "file" / "model")


def test_training_continues_the_same_after_saving_and_reading(tmp_path):
    config = replace(CONFIG, hidden_dropout_prob=0.1)
    model = BertForMaskedLM(config)
    model.save_pretrained(tmp_path)
    again = BertForMaskedLM.from_pretrained(tmp_path)
    assert again.config.hidden_dropout_prob == 0.1
    batch = inputs(config, [9, 5])
    batch["labels"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"], -100)
    losses = []
    for network in (model, again):
        torch.manual_seed(0)
        losses.append(network.train()(**batch).loss)
    assert torch.equal(*losses)


def test_importing_the_model_needs_no_transformers():
    code = "import companion.model, sys; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
