"""Files from the Hugging Face hub: its cache first, then the hub, each checked as it arrives.

The cache, mirrors (`HF_ENDPOINT`) and offline mode (`HF_HUB_OFFLINE`) are those of
`huggingface_hub`, which reads the variables once, when it is first imported.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from companion.errors import DataError

# What the hub's HTTP library raises when the network fails; the library itself (httpx and
# its successors) has changed between releases of huggingface_hub, this base has not.
NetworkError: type[Exception] = next(
    base for base in HfHubHTTPError.__bases__ if base.__name__ == "HTTPError"
)

# Everything an encoder needs, and never a pickle or code.
MODEL_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


class HubMiss(Exception):  # noqa: N818 - not an error by itself: one place of a search had nothing
    """The hub did not give what was asked for.

    Attributes:
        reason: why, as the end of a sentence that begins with the hub.
        unreachable: True if another try may do better.
    """

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unreachable = unreachable


def fetch_file(repo_id: str, filename: str, *, revision: str) -> Path:
    """The path of one file of a data set's repository, downloaded if the cache lacks it.

    Raises:
        HubMiss: the file could not be had.
        DataError: what arrived is not what the hub announced.
    """
    try:
        path = hf_hub_download(
            repo_id, filename, repo_type="dataset", revision=revision, local_files_only=True
        )
    except LocalEntryNotFoundError:
        try:
            _ask(repo_id, filename, repo_type="dataset", revision=revision)
            path = hf_hub_download(repo_id, filename, repo_type="dataset", revision=revision)
        except (NetworkError, OSError, EntryNotFoundError) as error:
            raise _miss(error, f"the file {filename}", repo_id, revision) from error
    verify_download(Path(path))
    return Path(path)


def fetch_model(repo_id: str, *, revision: str) -> Path:
    """The folder of a model's repository with configuration, vocabulary and safetensors.

    Raises:
        HubMiss: the model could not be had, or has no weights but a pickle.
        DataError: what arrived is not what the hub announced.
    """
    try:
        folder = _snapshot(repo_id, revision, local=True)
        complete = _has_weights(folder)
    except LocalEntryNotFoundError:
        complete = False
    if not complete:
        try:
            _ask(repo_id, "config.json", repo_type="model", revision=revision)
            folder = _snapshot(repo_id, revision, local=False)
        except (NetworkError, OSError, EntryNotFoundError) as error:
            raise _miss(error, "the model", repo_id, revision) from error
        if not _has_weights(folder):
            raise HubMiss(
                "has no file model.safetensors there; weights kept as a pickle are never loaded. "
                "Convert them once, where you trust them, with AutoModel.from_pretrained(...)"
                ".save_pretrained(FOLDER), and give that folder"
            )
    for path in sorted(folder.iterdir()):
        verify_download(path)
    return folder


def _snapshot(repo_id: str, revision: str, *, local: bool) -> Path:
    folder = snapshot_download(
        repo_id,
        revision=revision,
        local_files_only=local,
        allow_patterns=MODEL_FILES,
        ignore_patterns=["*/*"],
    )
    return Path(folder)


def _has_weights(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _ask(repo_id: str, filename: str, *, repo_type: str, revision: str) -> None:
    """One quick question before a download, which would retry for minutes without a network."""
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled
    get_hf_file_metadata(hf_hub_url(repo_id, filename, repo_type=repo_type, revision=revision))


def _miss(error: Exception, what: str, repo_id: str, revision: str) -> HubMiss:
    """The reason for an error while `what` was fetched."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # what happened before the cache was tried as the last resort
    if isinstance(error, OfflineModeIsEnabled):
        reason = f"is switched off (HF_HUB_OFFLINE), and its cache does not hold {what}"
        return HubMiss(reason, unreachable=True)
    if isinstance(error, GatedRepoError):
        return HubMiss(f"gives {repo_id} only to those who accepted its terms there")
    if isinstance(error, RepositoryNotFoundError):
        return HubMiss(f"has no public repository {repo_id}")
    if isinstance(error, RevisionNotFoundError):
        return HubMiss(f"has no revision {revision} of {repo_id}")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 404:
            return HubMiss(f"does not have {what} of {repo_id} at revision {revision}")
        reason = f"answered with the HTTP status {status} when asked for {what}"
        return HubMiss(reason, unreachable=True)
    if isinstance(error, NetworkError | ConnectionError):
        reason = f"could not be reached, or the connection broke ({type(error).__name__}: {error})"
        return HubMiss(reason, unreachable=True)
    first_line = str(error).strip().partition("\n")[0] or type(error).__name__
    return HubMiss(f"did not deliver {what} ({first_line})", unreachable=True)


def verify_download(path: Path) -> None:
    """Compare a file of the hub's cache with the hash under which the cache keeps it.

    A snapshot links to files named by the hub's ETag: SHA-256 for large files, git's SHA-1 (on
    some mirrors the plain one) for small files. What is not such a link is left unchecked.
    """
    name = path.readlink().name if path.is_symlink() else ""
    if re.fullmatch(r"[0-9a-f]{64}", name):
        found = {sha256_of(path)}
    elif re.fullmatch(r"[0-9a-f]{40}", name):
        content = path.read_bytes()
        forms = (b"blob %d\0" % len(content) + content, content)
        found = {hashlib.sha1(form, usedforsecurity=False).hexdigest() for form in forms}
    else:
        return
    if name not in found:
        raise DataError(
            f"{path} was damaged on its way or on the disk: the hub announced the hash {name}, "
            f"it has another. Delete {path.resolve()} and run again."
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits; remembered while the file is unchanged."""
    status = path.stat()
    return _sha256(os.fspath(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256(path: str, _size: int, _mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
