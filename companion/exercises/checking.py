"""The registry of exercises, and the one-sentence verdict on an answer."""

import dis
import linecache
import pkgutil
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch

from companion.errors import SettingsError
from companion.exercises.expecting import NotYet

NOT_STARTED = "write your answer where the dots are, then run the cell again"


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and the sentence that was printed."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def _ipython_display_(self) -> None:
        """Show nothing: the sentence stands above already."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its checker and typical wrong answers."""

    name: str
    checker: Callable[[Any], str]
    wrong: tuple[Any, ...]


_REGISTRY: dict[str, Exercise] = {}


def exercise(
    name: str, *, wrong: Sequence[Any]
) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Register a checker under `name`, "CHAPTER.NUMBER".

    Args:
        name: As the reader writes it: "10.1".
        wrong: Answers that readers typically give and that are not right, at least one; the tests
            see to it that the checker turns each down.

    The checker takes the answer and returns the sentence of a right one, which ends without a
    full stop and says what was found: "the gradient is clipped and its direction kept".
    """
    if not wrong:
        raise SettingsError(f"Exercise {name} needs at least one typical wrong answer.")

    def register(checker: Callable[[Any], str]) -> Callable[[Any], str]:
        known = _REGISTRY.get(name)
        # Running a module again, as an editor's reload does, is no second checker.
        if known is not None and _origin(known.checker) != _origin(checker):
            raise SettingsError(f"There are two checkers for exercise {name}.")
        _REGISTRY[name] = Exercise(name, checker, tuple(wrong))
        return checker

    return register


def exercises() -> dict[str, Exercise]:
    """Every exercise of the book by name, in the order of the chapters."""
    import companion.exercises as package

    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("chapter_"):
            import_module(f"{package.__name__}.{module.name}")

    def order(name: str) -> list[int]:
        return [int(part) for part in name.split(".")]

    return {name: _REGISTRY[name] for name in sorted(_REGISTRY, key=order)}


def check(name: str, answer: Any) -> Verdict:
    """Print one sentence on an answer, and return it with the verdict.

    Args:
        name: The exercise, such as "10.1".
        answer: What the exercise asks for: a function, a class or a value. `None`, `...` and a
            function that is still empty count as not started.

    An exception in the answer becomes part of the sentence. Random numbers are drawn from a
    fixed seed during the check, and go on afterwards as if there had been none.

    Raises:
        SettingsError: There is no exercise of that name.
    """
    task = _find(name)
    if _not_started(answer):
        return _say(False, f"· {name} not started: {NOT_STARTED}")
    with _fixed_seed():
        try:
            found = task.checker(answer)
        except NotYet as reason:
            return _say(False, f"✗ {name} not yet: {reason}")
        except (Exception, SystemExit) as error:
            return _say(False, f"✗ {name} not yet: {_explain(error, task, answer)}")
    return _say(True, f"✓ {name} right: {found}")


def _origin(checker: Callable[[Any], str]) -> tuple[str, str]:
    return checker.__module__, checker.__qualname__


def _find(name: str) -> Exercise:
    chapter = name.split(".")[0]
    if chapter.isdecimal():
        module = f"companion.exercises.chapter_{int(chapter):02d}"
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if name not in _REGISTRY:
        known = ", ".join(exercises()) or "none yet"
        raise SettingsError(f"There is no exercise '{name}'; there are: {known}.")
    return _REGISTRY[name]


def _say(ok: bool, message: str) -> Verdict:
    print(message)
    return Verdict(ok, message)


def _not_started(answer: Any) -> bool:
    """Whether an answer is None, the dots, or a function that does nothing but return them."""
    if answer is None or answer is ...:
        return True
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    # Every way of writing nothing (`...`, `pass`, a docstring alone, `return ...`) compiles to
    # loading one constant and returning it.
    steps = [s for s in dis.get_instructions(code) if s.opname not in {"RESUME", "NOP"}]
    names = [step.opname for step in steps]
    returns = names in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"])
    return returns and (steps[0].argval is None or steps[0].argval is ...)


def _explain(error: BaseException, task: Exercise, answer: Any) -> str:
    """An exception as a clause: its type, its message, and the reader's line that led to it."""
    lines = str(error).strip().splitlines()
    what = type(error).__name__ + (f" ({lines[0][:200]})" if lines else "")
    own = {"__main__", getattr(answer, "__module__", None)}
    places = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") in own
        and frame.f_code is not getattr(task.checker, "__code__", None)
        and not any(part in frame.f_code.co_filename for part in ("site-packages", "dist-packages"))
    ]
    if not places:
        return f"trying your answer raised {what}"
    file, number = places[-1]
    source = linecache.getline(file, number).strip()
    return f"your code raised {what} at line {number}" + (f": {source}" if source else "")


@contextmanager
def _fixed_seed() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
