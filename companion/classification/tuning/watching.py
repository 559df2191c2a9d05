"""Looking on while a training goes on, and stopping it (used by the search of chapter 13)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from companion.training.history import History
from companion.training.progress import ProgressBar

Watch = Callable[[int, History], None]


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Call `watch(step, history)` after each update of every training inside the `with`.

    An exception of `watch` ends the training and passes through. The engine tells its progress
    bar after each update how the run is doing, whether or not the bar is drawn; this listens
    there, so that `fine_tune` needs no argument that only a search would use.
    """
    show = ProgressBar.show

    def show_and_tell(self: ProgressBar, step: int, history: History, metric: str) -> None:
        show(self, step, history, metric)
        watch(step, history)

    ProgressBar.show = show_and_tell  # type: ignore[method-assign]
    try:
        yield
    finally:
        ProgressBar.show = show  # type: ignore[method-assign]
