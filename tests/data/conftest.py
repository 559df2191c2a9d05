"""Where the real data sets are, for the tests that want them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.data import DATASETS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A function that makes a real data set findable and gives its name, or skips the test."""
    root = Path(os.environ.get("COMPANION_DATA") or REPOSITORY.parent / "shared" / "data")
    monkeypatch.setenv("COMPANION_DATA", str(root))

    def require(name: str) -> str:
        layout = DATASETS[name].local
        if not layout or not all((root / name / file.path).is_file() for file in layout.files):
            pytest.skip(f"the data set {name} is in no folder here (set COMPANION_DATA)")
        return name

    return require
