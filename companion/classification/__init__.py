"""Fine-tuning, prediction and honest scores (chapters 10 to 15)."""

from companion.classification.classifier import Classifier, Prediction
from companion.classification.fine_tune import fine_tune
from companion.classification.metrics import Evaluation, evaluate_predictions

__all__ = ["Classifier", "Evaluation", "Prediction", "evaluate_predictions", "fine_tune"]
