"""Parameter counts of published models, to the unit, without allocating them."""

import pytest
import torch

from companion.model import BertConfig, BertForPreTraining, BertModel

CHINESE, CASED = 21128, 28996


@pytest.mark.parametrize(
    ("kind", "config", "count"),
    [
        (BertModel, BertConfig.base(), 109_482_240),  # bert-base-uncased
        (BertModel, BertConfig.base(vocab_size=CASED), 108_310_272),  # bert-base-cased
        (BertModel, BertConfig.base(vocab_size=CHINESE), 102_267_648),  # bert-base-chinese
        (BertForPreTraining, BertConfig.base(), 110_106_428),
        (BertModel, BertConfig.tiny(), 4_385_920),
        (BertModel, BertConfig.mini(), 11_170_560),
        (BertModel, BertConfig.small(), 28_763_648),
        (BertModel, BertConfig.medium(), 41_373_184),
        (BertModel, BertConfig.large(), 335_141_888),
    ],
)
def test_a_preset_has_the_published_number_of_parameters(kind, config, count):
    with torch.device("meta"):
        assert kind(config).num_parameters() == count
