"""config.json is Hugging Face's, and a config that no model can have is refused."""

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest
import transformers

from companion.errors import CheckpointError, SettingsError
from companion.model import BertConfig

from .reference import CONFIGS


def write(folder, **values):
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_their_file_is_read_and_ours_is_read_by_them(tmp_path, name):
    config = replace(CONFIGS[name], classifier_dropout=0.25, initializer_range=0.05)
    write(tmp_path, **config.to_dict())
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    assert isinstance(theirs, transformers.BertConfig)
    for field in fields(BertConfig):
        if field.name != "id2label":
            assert getattr(theirs, field.name) == getattr(config, field.name), field.name
    assert list(theirs.id2label.values()) == config.label_names
    theirs.save_pretrained(tmp_path)
    again = BertConfig.from_pretrained(tmp_path)
    assert replace(again, id2label=None) == config


def test_the_defaults_are_theirs():
    theirs = transformers.BertConfig()
    ours = BertConfig()
    for field in fields(BertConfig):
        if field.name != "id2label":
            assert getattr(theirs, field.name) == getattr(ours, field.name), field.name


def test_class_names_survive_and_change_with_their_number(tmp_path):
    names = {0: "财经", 1: "sport", 2: "arts"}
    write(tmp_path, **BertConfig.tiny(num_labels=3, id2label=names).to_dict())
    assert BertConfig.from_pretrained(tmp_path).label_names == list(names.values())
    assert BertConfig.from_pretrained(tmp_path, num_labels=3).id2label == names
    changed = BertConfig.from_pretrained(tmp_path, num_labels=2)
    assert changed.label_names == ["LABEL_0", "LABEL_1"]


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        BertConfig().vocab_size = 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": 100, "num_attention_heads": 3}, "hidden_size 100 .* num_attention_heads"),
        ({"vocab_size": 0}, "vocab_size must be a whole number from 1, found 0"),
        ({"num_hidden_layers": 2.0}, "num_hidden_layers must be a whole number"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob must lie from 0 to below 1"),
        ({"classifier_dropout": "0.1"}, "classifier_dropout must lie"),
        ({"hidden_act": "swish"}, "hidden_act must be one of gelu, .* found 'swish'"),
        ({"pad_token_id": 30522}, "pad_token_id must be an id below vocab_size 30522"),
        ({"id2label": {0: "a", 2: "b"}}, "id2label names the classes .0, 2."),
    ],
)
def test_impossible_sizes_are_refused_by_name(tmp_path, change, words):
    with pytest.raises(SettingsError, match=words):
        BertConfig(**change)
    if "id2label" not in change:
        with pytest.raises(CheckpointError, match=r"config\.json: .*" + words):
            BertConfig.from_pretrained(write(tmp_path, model_type="bert", **change))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "roberta"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"add_cross_attention": True},
    ],
)
def test_another_architecture_is_refused_by_name(tmp_path, change):
    write(tmp_path, **{"model_type": "bert", **change})
    with pytest.raises(
        CheckpointError, match=rf"config\.json: {next(iter(change))} is .*AutoModel"
    ):
        BertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id2label": ["a"]}', '{"id2label": {"x": "a"}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        BertConfig.from_pretrained(tmp_path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json does not exist"):
        BertConfig.from_pretrained(tmp_path)
