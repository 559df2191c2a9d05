"""What the heads promise beyond equality with the reference."""

from dataclasses import replace

import pytest
import torch

from companion.errors import DataError
from companion.model import BertForMaskedLM, BertForPreTraining, BertForSequenceClassification

from .reference import CONFIGS, gradients, inputs

CONFIG = CONFIGS["three heads"]


def test_without_a_single_label_the_loss_is_zero_and_so_is_its_gradient():
    for kind in (BertForMaskedLM, BertForPreTraining):
        for masked_only in (True, False):
            model = kind(CONFIG)
            batch = inputs(CONFIG, [5, 3])
            labels = torch.full_like(batch["input_ids"], -100)
            output = model(**batch, labels=labels, masked_only=masked_only)
            assert output.loss.item() == 0.0
            output.loss.backward()
            assert not any(gradient.any() for gradient in gradients(model).values())


def test_only_the_labelled_positions_are_projected_on_the_vocabulary():
    model = BertForMaskedLM(CONFIG)
    batch = inputs(CONFIG, [8, 6])
    labels = torch.full_like(batch["input_ids"], -100)
    labels[0, 2], labels[1, 5] = 4, 9
    rows = []
    model.cls.predictions.register_forward_hook(lambda _, x, y: rows.append(tuple(y.shape)))
    short = model(**batch, labels=labels)
    full = model(**batch, labels=labels, masked_only=False)
    assert rows == [(2, CONFIG.vocab_size), (2, 8, CONFIG.vocab_size)]
    torch.testing.assert_close(short.logits[1], full.logits[1, 5])


def test_the_decoder_is_the_token_table():
    model = BertForPreTraining(CONFIG)
    table = model.bert.embeddings.word_embeddings.weight
    batch = inputs(CONFIG, [4])
    model(**batch, labels=batch["input_ids"]).loss.backward()
    assert table.grad.abs().sum(1).count_nonzero() == CONFIG.vocab_size  # every word is scored
    assert sum(p.shape == table.shape for p in model.parameters()) == 1


def test_pretraining_adds_the_losses_that_have_labels():
    model = BertForPreTraining(CONFIG).eval()
    batch = inputs(CONFIG, [5, 4])
    labels, follows = {"labels": batch["input_ids"]}, {"next_sentence_label": torch.tensor([0, 1])}
    words, pairs = model(**batch, **labels).loss, model(**batch, **follows).loss
    torch.testing.assert_close(model(**batch, **labels, **follows).loss, words + pairs)
    output = model(**batch)
    assert output.loss is None and output.logits is output.prediction_logits


def test_the_switch_reaches_the_body_of_every_model():
    model = BertForSequenceClassification(CONFIG)
    assert model.fast and model.bert.fast
    model.fast = False
    assert not model.bert.fast


def test_states_and_weights_are_passed_on():
    model = BertForSequenceClassification(CONFIG)
    output = model(**inputs(CONFIG, [5]), output_hidden_states=True, output_attentions=True)
    assert [tuple(x.shape) for x in output.hidden_states] == [(1, 5, 48)] * 3
    assert [tuple(x.shape) for x in output.attentions] == [(1, 3, 5, 5)] * 2


def test_labels_of_another_shape_are_named():
    with pytest.raises(DataError, match=r"labels are \(2,\), but input_ids are \(2, 5\)"):
        BertForMaskedLM(CONFIG)(**inputs(CONFIG, [5, 3]), labels=torch.tensor([1, 2]))


def test_the_random_start_has_the_spread_of_the_config():
    torch.manual_seed(0)
    config = replace(CONFIG, vocab_size=5000, hidden_size=192, initializer_range=0.02)
    model = BertForPreTraining(config)
    for name, parameter in model.named_parameters():
        if name.endswith("LayerNorm.weight"):
            assert (parameter == 1).all()
        elif name.endswith("bias"):
            assert not parameter.any()
        elif parameter.numel() > 5000:
            assert abs(parameter.std().item() - 0.02) < 0.001, name
    assert not model.bert.embeddings.word_embeddings.weight[config.pad_token_id].any()
