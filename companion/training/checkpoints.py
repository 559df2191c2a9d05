"""Saving a run so that no kill, at any moment, can lose more than the work since the last save.

A checkpoint is a folder. It is written under a temporary name, flushed to disk and renamed:
a folder that has its final name is whole. Weights and optimiser state are safetensors and
everything else JSON, never pickle, so opening somebody's checkpoint runs no code.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from companion.errors import CheckpointError, SettingsError

_STEP = re.compile(r"step-(\d+)")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            _flush(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise saving_failed(path, error) from error


def saving_failed(path: Path, error: Exception) -> CheckpointError:
    """The sentence for a save that the disk refused."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(
        error
    )
    reason = "the disk is full" if full else str(error)
    remedy = "Free some space" if full else "Mend that"
    return CheckpointError(
        f"{path} could not be written: {reason}. What was saved before is whole. "
        f"{remedy} and go on with --resume (resume=True)."
    )


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors to a safetensors file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        # Tied weights share memory, which the format refuses; a clone of each stands alone.
        save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, partial)
        with partial.open("rb+") as file:
            _flush(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise saving_failed(path, error) from error


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file; a damaged one is a CheckpointError that says so."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the folder is not a whole checkpoint.") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Delete it and take an earlier copy, or train again."
        ) from error


def refuse_other_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise SettingsError when a run's facts differ from those its checkpoint was made with."""
    differ = [
        f"{key} was {before.get(key)}, now {value}"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if differ:
        raise SettingsError(
            f"This run cannot go on from {folder}: {'; '.join(differ)}. Give the same settings "
            "and data, or another folder."
        )


class CheckpointStore:
    """The checkpoints of one run, in a folder of its own.

    Args:
        folder: where they lie, one sub-folder per saved step.
        keep: how many of the newest to keep.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps with a folder of its final name, oldest first."""
        if not self.folder.is_dir():
            return []
        found = (_STEP.fullmatch(p.name) for p in self.folder.iterdir() if p.is_dir())
        return sorted(int(m.group(1)) for m in found if m)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: Any
    ) -> Path:
        """Save a step: each mapping of `tensors` as NAME.safetensors, `state` as JSON.

        Raises:
            CheckpointError: the disk refused; the checkpoints before this one are untouched.
        """
        final = self.path(step)
        partial = final.with_name(final.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            for name, group in tensors.items():
                save_tensors(partial / f"{name}.safetensors", group)
            write_atomically(partial / "state.json", json.dumps(state).encode())
            digests = {p.name: _digest(p) for p in sorted(partial.iterdir())}
            write_atomically(partial / "manifest.json", json.dumps(digests).encode())
            shutil.rmtree(final, ignore_errors=True)
            partial.replace(final)
            self._flush_folder()
        except OSError as error:
            raise saving_failed(final, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return final

    def load_newest(self) -> tuple[int, dict[str, dict[str, torch.Tensor]], Any] | None:
        """The newest checkpoint whose files are what its manifest says; None when there is none.

        Raises:
            CheckpointError: there are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            folder = self.path(step)
            if self._is_whole(folder):
                tensors = {p.stem: load_tensors(p) for p in sorted(folder.glob("*.safetensors"))}
                return step, tensors, json.loads((folder / "state.json").read_text("utf-8"))
        if steps:
            raise CheckpointError(
                f"No checkpoint in {self.folder} is whole: files of each differ from its "
                "manifest. Delete the folder and start again without --resume."
            )
        return None

    @staticmethod
    def _is_whole(folder: Path) -> bool:
        try:
            digests = json.loads((folder / "manifest.json").read_text("utf-8"))
            return all(_digest(folder / name) == digest for name, digest in digests.items())
        except (OSError, ValueError):
            return False

    def _flush_folder(self) -> None:
        # A rename is safe from a power cut only when its folder is flushed too. Windows
        # cannot open folders; there the file system's own journal has to do.
        if os.name == "posix":
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                _flush(descriptor)
            finally:
                os.close(descriptor)
