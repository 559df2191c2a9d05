"""BERT and text classification from zero, in Chinese and English.

The names below are the package's public face; each is imported when it is first used, so
that `import companion` and `companion --help` answer at once.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.classification import Classifier, fine_tune
    from companion.data import load_dataset
    from companion.model import (
        BertConfig,
        BertForMaskedLM,
        BertForPreTraining,
        BertForSequenceClassification,
        BertModel,
        scaled_dot_product_attention,
    )
    from companion.text import WordPieceTokenizer

try:
    __version__ = version("companion")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0+unknown"

_HOMES = {
    "BertConfig": "companion.model",
    "BertForMaskedLM": "companion.model",
    "BertForPreTraining": "companion.model",
    "BertForSequenceClassification": "companion.model",
    "BertModel": "companion.model",
    "Classifier": "companion.classification",
    "fine_tune": "companion.classification",
    "load_dataset": "companion.data",
    "scaled_dot_product_attention": "companion.model",
    "WordPieceTokenizer": "companion.text",
}
__all__ = [
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertModel",
    "Classifier",
    "WordPieceTokenizer",
    "__version__",
    "fine_tune",
    "load_dataset",
    "scaled_dot_product_attention",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'companion' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
