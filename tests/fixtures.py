"""A classifier that learns in seconds, for the tests that need a trained one."""

import random

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import BertConfig, BertForSequenceClassification

from companion.classification.encoders import label_settings, shipped_tokenizer

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["差", "好"])})
GOOD, BAD = ["很好", "great", "喜欢", "lovely"], ["很差", "awful", "失望", "dreadful"]


def texts_and_labels(count: int, seed: int) -> dict[str, list]:
    """Texts in two languages in which one word decides."""
    rng = random.Random(seed)
    fillers = [
        "酒店",
        "房间",
        "the",
        "room",
        "早餐",
        "a",
        "book",
        "电脑",
        "staff",
        "位置",
        "it",
        "was",
    ]
    rows = []
    for i in range(count):
        words = rng.sample(fillers, rng.randint(1, 9))
        words.insert(rng.randint(0, len(words)), rng.choice((BAD, GOOD)[i % 2]))
        rows.append((" ".join(words), i % 2))
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


@pytest.fixture(scope="session")
def easy_data() -> DatasetDict:
    return DatasetDict(
        {
            name: Dataset.from_dict(texts_and_labels(count, seed), features=FEATURES)
            for name, count, seed in (("train", 400, 1), ("dev", 80, 2), ("test", 80, 3))
        }
    )


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> str:
    """A folder in Hugging Face's format: 2 layers, 32 wide, the shipped vocabulary."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = shipped_tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    config.update(label_settings(["差", "好"]))
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


SETTINGS = {"max_length": 32, "epochs": 8, "learning_rate": 3e-3, "progress": False}
