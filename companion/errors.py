"""What a user's mistake raises: one sentence that names the place and the remedy.

The command line prints the sentence and ends with exit code 2; from Python the
exceptions below can be caught, each also as the built-in it resembles.
"""


class CompanionError(Exception):
    """Base of everything `companion` raises on purpose."""


class DataError(CompanionError, ValueError):
    """A table or text that cannot be used as it is: file, line, what was found, what to do."""


class NotFoundError(CompanionError, FileNotFoundError):
    """A data set or model that no place of the lookup order holds; lists each place tried."""


class CheckpointError(CompanionError, RuntimeError):
    """A saved model or run that is incomplete, damaged, of other shapes, or cannot be written."""


class SettingsError(CompanionError, ValueError):
    """A setting outside its range, or settings that contradict one another."""


class TrainingError(CompanionError, RuntimeError):
    """A run that cannot go on, such as a loss that is no longer a number."""
