"""Baselines, fine-tuning, prediction, comparison and honest scores (chapters 2 and 10 to 15)."""

from companion.classification.augmentation import augment, delete_words, swap_neighbours
from companion.classification.baselines import BASELINES, train_baseline
from companion.classification.classifier import Classifier
from companion.classification.compare import Comparison, compare
from companion.classification.cross_validation import CrossValidation, cross_validate
from companion.classification.ensemble import Ensemble
from companion.classification.fine_tune import fine_tune
from companion.classification.interface import Prediction, TextClassifier
from companion.classification.mask_filling import fill_masks
from companion.classification.metrics import Evaluation, evaluate_predictions
from companion.classification.opening import load_classifier
from companion.classification.search_result import Search
from companion.classification.search_space import Span
from companion.classification.searching import search

__all__ = [
    "BASELINES",
    "Classifier",
    "Comparison",
    "CrossValidation",
    "Ensemble",
    "Evaluation",
    "Prediction",
    "Search",
    "Span",
    "TextClassifier",
    "augment",
    "compare",
    "cross_validate",
    "delete_words",
    "evaluate_predictions",
    "fill_masks",
    "fine_tune",
    "load_classifier",
    "search",
    "swap_neighbours",
    "train_baseline",
]
