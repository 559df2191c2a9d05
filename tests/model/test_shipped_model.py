"""The pretrained model that ships with the package: size, both implementations, simple blanks."""

import json

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from companion.classification.encoders import load_encoder
from companion.model import BertForMaskedLM
from companion.pretraining.opening import ASSETS
from companion.pretraining.result import read_history
from companion.text import WordPieceTokenizer


@pytest.fixture(scope="module")
def theirs():
    return AutoModelForMaskedLM.from_pretrained(ASSETS).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ASSETS)


def test_it_is_small_enough_to_ship():
    assert BertForMaskedLM.from_pretrained(ASSETS).num_parameters() <= 10_000_000
    assert (ASSETS / "model.safetensors").stat().st_size < 20_000_000


def test_both_implementations_compute_the_same_in_single_precision(theirs, tokenizer):
    own = BertForMaskedLM.from_pretrained(ASSETS)
    assert {p.dtype for p in theirs.parameters()} == {torch.float32}
    batch = tokenizer(["The room was [MASK] and quiet.", "房间很[MASK]。"], padding=True,
                      return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        one, two = own(**batch).logits, theirs(**batch).logits
    real = batch["attention_mask"] == 1
    torch.testing.assert_close(one[real], two[real], rtol=1e-4, atol=1e-4)


def test_the_two_tokenizers_of_the_folder_agree(tokenizer):
    text = "The waiter was kind. 服务员很热情！"
    assert tokenizer(text)["input_ids"] == WordPieceTokenizer.from_folder(ASSETS).encode(text).ids


@pytest.mark.parametrize(
    ("sentence", "sensible"),
    [
        ("She died on 12 [MASK] 1950.", "october june december march may july august"),
        ("One of the worst [MASK] i have ever seen.", "movies films movie film"),
        ("I have never [MASK] such a good movie.", "seen watched"),
        ("房间很干[MASK]。", "净"),
        ("他出生于1950[MASK]。", "年"),
        ("这家酒店的服务很[MASK]。", "好"),
        ("快递很[MASK]，第二天就到了。", "快"),
        ("质量不[MASK]，下次还会买。", "错"),
    ],
)
def test_simple_blanks_are_filled_sensibly_in_both_languages(theirs, tokenizer, sentence, sensible):
    batch = tokenizer(sentence, return_tensors="pt")
    at = (batch["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()
    with torch.no_grad():
        best = theirs(**batch).logits[0, at].topk(5).indices
    assert set(tokenizer.convert_ids_to_tokens(best)) & set(sensible.split())


LATE = [
    ("The hotel was quiet and the staff were kind. ", "I have never [MASK] such a good hotel.",
     "seen had been found stayed"),
    ("房间很大，位置也方便。", "早餐也不[MASK]。", "错"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "sentence", "sensible"), LATE)
def test_a_blank_far_into_a_text_is_no_harder(theirs, tokenizer, before, sentence, sensible):
    """Positions that pretraining never reached would spoil the whole text."""
    batch = tokenizer(25 * before + sentence, return_tensors="pt", truncation=False)
    at = (batch["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()
    assert 200 < at < 500
    with torch.no_grad():
        best = theirs(**batch).logits[0, at].topk(5).indices
    assert set(tokenizer.convert_ids_to_tokens(best)) & set(sensible.split())


def test_it_is_found_by_its_name_without_a_network():
    model, tokenizer = load_encoder("bilingual-mini", ["negative", "positive"])
    weights = BertForMaskedLM.from_pretrained(ASSETS).state_dict()
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[name], weights[name])
    assert model.config.id2label == {0: "negative", 1: "positive"} and len(tokenizer) == 16000


def test_its_log_says_how_it_came_about():
    metrics = json.loads((ASSETS / "metrics.json").read_text("utf-8"))
    evaluations = read_history(ASSETS / "history.csv").rows("eval")
    assert evaluations[-1]["dev_loss"] < evaluations[0]["dev_loss"]
    assert metrics["tokens"] == sum(piece["tokens"] for piece in metrics["pieces"])
    assert metrics["parameters"] == BertForMaskedLM.from_pretrained(ASSETS).num_parameters()
    excluded = {s["name"]: s["documents_excluded"] for s in metrics["corpus"]["sources"]}
    assert excluded["chnsenticorp"] > 0, "training texts that repeat a test text were taken out"
