"""A BERT that can be read in one sitting and loads any Hugging Face BERT checkpoint.

`attention` (chapter 3) -> `embeddings`, `encoder` (chapter 4) -> `bert`, `heads`, `weights`
(chapter 6). `packing` and `dropout` make the same computation fast. Letters in every shape:

    B batch   T tokens in a sequence   N heads   H width of one head
    D model width (N * H)   V vocabulary   C classes   S real tokens in the whole batch
"""

from companion.model.attention import scaled_dot_product_attention
from companion.model.bert import BertModel
from companion.model.config import BertConfig
from companion.model.heads import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
)
from companion.model.vocabulary import check_vocabulary

__all__ = [
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertModel",
    "check_vocabulary",
    "scaled_dot_product_attention",
]
