"""The project's files, as git sees them: tracked, or new and not ignored."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> list[Path]:
    """Every file that is or would be committed; skips the test outside of a git checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = sorted(set(filter(None, listed.stdout.split("\0"))))
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@cache
def text_files() -> dict[str, str]:
    """Relative name to content of every file that is text."""
    texts = {}
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content:
            texts[path.relative_to(ROOT).as_posix()] = content.decode("utf-8")
    return texts
