"""The one training loop: settings, schedule, checkpoints, history (chapters 10 and 13)."""

from companion.training.checkpoints import CheckpointStore, write_atomically
from companion.training.engine import Watch, train
from companion.training.feeding import BatchSource
from companion.training.history import History
from companion.training.optimizer import linear_warmup_decay, make_optimizer, parameter_groups
from companion.training.settings import TrainSettings, choose_precision

__all__ = [
    "BatchSource",
    "CheckpointStore",
    "History",
    "TrainSettings",
    "Watch",
    "choose_precision",
    "linear_warmup_decay",
    "make_optimizer",
    "parameter_groups",
    "train",
    "write_atomically",
]
