"""Baselines, fine-tuning, prediction, comparison and honest scores (chapters 2 and 10 to 15)."""

from companion.classification.augmentation.augment import augment, delete_words, swap_neighbours
from companion.classification.augmentation.mask_filling import fill_masks
from companion.classification.baselines.training import BASELINES, train_baseline
from companion.classification.classifier import Classifier
from companion.classification.comparison.compare import Comparison, compare
from companion.classification.fine_tune import fine_tune
from companion.classification.interface import Prediction, TextClassifier
from companion.classification.long_texts.fine_tune_windows import fine_tune_windows
from companion.classification.long_texts.hierarchical import HierarchicalClassifier
from companion.classification.long_texts.window_classifier import WindowClassifier
from companion.classification.metrics import Evaluation, evaluate_predictions
from companion.classification.opening import load_classifier
from companion.classification.tuning.cross_validation import CrossValidation, cross_validate
from companion.classification.tuning.ensemble import Ensemble
from companion.classification.tuning.search import search
from companion.classification.tuning.search_result import Search
from companion.classification.tuning.search_space import Span

__all__ = [
    "BASELINES",
    "Classifier",
    "Comparison",
    "CrossValidation",
    "Ensemble",
    "Evaluation",
    "HierarchicalClassifier",
    "Prediction",
    "Search",
    "Span",
    "TextClassifier",
    "WindowClassifier",
    "augment",
    "compare",
    "cross_validate",
    "delete_words",
    "evaluate_predictions",
    "fill_masks",
    "fine_tune",
    "fine_tune_windows",
    "load_classifier",
    "search",
    "swap_neighbours",
    "train_baseline",
]
