"""Finding, reading and checking data sets (taught in chapters 1, 10 and 11)."""

from companion.data.checks import check_dataset
from companion.data.lookup import locate_model
from companion.data.models import MODELS
from companion.data.registry import DATASETS
from companion.data.repeats import drop_shared
from companion.data.report import Finding, Report
from companion.data.tables import DataWarning, load_dataset

__all__ = [
    "DATASETS",
    "MODELS",
    "DataWarning",
    "Finding",
    "Report",
    "check_dataset",
    "drop_shared",
    "load_dataset",
    "locate_model",
]
