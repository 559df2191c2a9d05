"""Where pretrained models come from: one table (taught in chapters 1, 9 and 11).

It is data only; `companion.data.lookup` finds what it describes. The hub could not be reached
when it was written, see `companion.data.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelEntry:
    """A pretrained encoder in Hugging Face's format: on the hub or in COMPANION_DATA/name.

    One without `hub_id` is `shipped`: it lies in the package.
    """

    name: str
    title: str
    language: str
    terms: str
    hub_id: str
    revision: str
    known_defects: str = "none known"
    citation: str = ""
    shipped: bool = False


BERT = "Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers"
WHOLE_WORD = "Cui et al. 2021, Pre-Training with Whole Word Masking for Chinese BERT"

_MODELS = (
    ModelEntry(
        name="bilingual-mini",
        title="The book's own BERT: 4 layers of 256, Chinese and English",
        language="multilingual",
        terms="see companion/assets/README.md",
        hub_id="",
        revision="",
        shipped=True,
    ),
    ModelEntry(
        name="bert-base-chinese",
        title="BERT base, Chinese characters",
        language="zh",
        terms="Apache-2.0",
        hub_id="google-bert/bert-base-chinese",
        revision="8f23c25b06e129b6c986331a13d8d025a92cf0ea",
        citation=BERT,
    ),
    ModelEntry(
        name="bert-base-uncased",
        title="BERT base, English in lower case",
        language="en",
        terms="Apache-2.0",
        hub_id="google-bert/bert-base-uncased",
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        citation=BERT,
    ),
    ModelEntry(
        name="bert-base-multilingual-cased",
        title="BERT base, 104 languages",
        language="multilingual",
        terms="Apache-2.0",
        hub_id="google-bert/bert-base-multilingual-cased",
        revision="3f076fdb1ab68d5b2880cb87a0886f315b8146f8",
        citation=BERT,
    ),
    ModelEntry(
        name="xlm-roberta-base",
        title="XLM-RoBERTa base, 100 languages",
        language="multilingual",
        terms="MIT",
        hub_id="FacebookAI/xlm-roberta-base",
        revision="e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
        citation="Conneau et al. 2020, Unsupervised Cross-lingual Representation Learning at Scale",
    ),
    ModelEntry(
        name="chinese-roberta-wwm-ext",
        title="RoBERTa-wwm-ext, Chinese, whole words masked",
        language="zh",
        terms="Apache-2.0",
        hub_id="hfl/chinese-roberta-wwm-ext",
        revision="5c58d0b8ec1d9014354d691c538661bf00bfdb44",
        known_defects="the weights are published as a pickle only, which is never loaded",
        citation=WHOLE_WORD,
    ),
    ModelEntry(
        name="rbt3",
        title="RBT3: the first three layers of RoBERTa-wwm-ext, trained on",
        language="zh",
        terms="Apache-2.0",
        hub_id="hfl/rbt3",
        revision="0aa0527ff4170f29e1dfd3eb6ef60dc67e1bf75c",
        known_defects="the weights are published as a pickle only, which is never loaded",
        citation=WHOLE_WORD,
    ),
)

MODELS: dict[str, ModelEntry] = {entry.name: entry for entry in _MODELS}
