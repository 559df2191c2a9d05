"""From a folder to the classifier in it, of whatever kind."""

from pathlib import Path

import torch

from companion.classification.baselines.tfidf import TfidfClassifier
from companion.classification.classifier import Classifier
from companion.classification.interface import TextClassifier, read_config
from companion.classification.long_texts.hierarchical import VECTORS, HierarchicalClassifier
from companion.classification.long_texts.window_classifier import WindowClassifier, window_settings
from companion.classification.tuning.ensemble import MODEL_TYPE, Ensemble


def load_classifier(
    folder: str | Path, *, device: str | torch.device | None = None
) -> TextClassifier:
    """Open what `fine_tune`, `train_baseline`, a classifier of long texts or Hugging Face's saved.

    Args:
        device: where to put a network; by default a GPU when there is one.

    Raises:
        NotFoundError: there is no such folder.
        CheckpointError: the folder is not a whole classifier.
    """
    config, _ = read_config(Path(folder))
    if config.get("model_type") == "tfidf":
        return TfidfClassifier.load(folder)
    if config.get("model_type") == MODEL_TYPE:
        return Ensemble.load(folder, device=device)
    if (windows := window_settings(Path(folder))) is not None:
        kind = HierarchicalClassifier if windows.get("of") == VECTORS else WindowClassifier
        return kind.load(folder, device=device)
    return Classifier.load(folder, device=device)
