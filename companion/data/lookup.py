"""Finding a data set or a model: one order of places, and never a substitute.

1. a path the user gave; 2. the folder `COMPANION_DATA`; 3. the hub's cache and the hub;
4. the package's own sample, where the name asks for it. When every place fails, the error
lists each with the reason, and what to do.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from huggingface_hub import constants

from companion.data import hub
from companion.data.models import MODELS, ModelEntry
from companion.data.registry import DATASETS, DatasetEntry, Layout, TableFile
from companion.errors import DataError, NotFoundError

SAMPLE_FOLDER = Path(__file__).parent / "sample"
ASSETS = Path(__file__).parents[1] / "assets"  # the model and vocabulary that the package ships


def find_entry(source: str | Path) -> DatasetEntry | None:
    """The registry's entry for a name (or its name on the hub), None for anything else.

    A registered name always means the registry: a folder of the same name is `./NAME`.
    """
    return next((e for e in DATASETS.values() if source in (e.name, e.hub_id)), None)


def locate_dataset(entry: DatasetEntry) -> tuple[Layout, list[Path]]:
    """Where the files of a registered data set are.

    Returns:
        The layout they have there, and one path for each of its files, in its order.

    Raises:
        NotFoundError: no place holds all of them; the message lists each place.
        DataError: a file is not the one the registry knows.
    """
    if entry.shipped:
        return entry.shipped, [SAMPLE_FOLDER / file.path for file in entry.shipped.files]
    tried = []
    again = False
    if entry.local:
        folder, reason = _local_folder(entry.name, [file.path for file in entry.local.files])
        if folder:
            paths = [folder / file.path for file in entry.local.files]
            _verify(entry.local.files, paths)
            return entry.local, paths
        tried.append(reason)
    if entry.hub and entry.hub_id:
        try:
            paths = [
                hub.fetch_file(entry.hub_id, file.path, revision=entry.revision)
                for file in entry.hub.files
            ]
            _verify(entry.hub.files, paths)
            return entry.hub, paths
        except hub.HubMiss as miss:
            tried.append(_hub_reason(miss))
            again = miss.unreachable
    else:
        tried.append("the Hugging Face hub: no address of this data set there is known")
    files = ", ".join(file.path for file in entry.local.files) if entry.local else ""
    remedy = f"set COMPANION_DATA to a folder that holds {entry.name}/ with {files}"
    raise _not_found(f"The data set {entry.name!r}", entry.name, tried, remedy, again)


def locate_model(name_or_path: str | Path) -> Path:
    """The local folder of a pretrained model, downloaded to the hub's cache where needed.

    Args:
        name_or_path: a folder with config.json, a name of the registry, or a name on the hub
            such as `google-bert/bert-base-chinese`.

    Returns:
        The folder; its files are in Hugging Face's format.

    Raises:
        NotFoundError: no place holds the model; the message lists each place.
        DataError: a downloaded file is damaged.
    """
    known = (e for e in MODELS.values() if name_or_path in (e.name, e.hub_id or e.name))
    entry = next(known, None)
    if entry is None:
        path = Path(name_or_path).expanduser()
        if (path / "config.json").is_file():
            return path
        if path.exists():
            raise NotFoundError(
                f"{path} is no model: it holds no config.json. Give the folder that "
                "save_pretrained or `companion train` has written."
            )
        hub_id = str(name_or_path)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", hub_id):
            raise NotFoundError(_unknown("model", hub_id, list(MODELS)))
        entry = ModelEntry(hub_id, hub_id, "", "", hub_id, "main")
        tried = [f"a folder {path}: there is none"]
    elif entry.shipped:
        return ASSETS
    else:
        folder, reason = _local_folder(entry.name, ["config.json"])
        if folder:
            return folder
        tried = [reason]
    try:
        return hub.fetch_model(entry.hub_id, revision=entry.revision)
    except hub.HubMiss as miss:
        tried.append(_hub_reason(miss))
        again = miss.unreachable
    remedy = "give a folder that holds config.json, model.safetensors and the vocabulary"
    if entry.name in MODELS:
        remedy += f", or put it into COMPANION_DATA as {entry.name}/"
    raise _not_found(f"The model {entry.name!r}", entry.name, tried, remedy, again)


def unknown_dataset(source: str | Path) -> NotFoundError:
    """The error for a source that is neither a file, nor a folder, nor a registered name."""
    return NotFoundError(_unknown("data set", str(source), list(DATASETS)))


def _local_folder(name: str, files: list[str]) -> tuple[Path | None, str]:
    """The folder COMPANION_DATA/name if it holds all of `files`, else None and the reason."""
    root = os.environ.get("COMPANION_DATA")
    if not root:
        return None, "the folder COMPANION_DATA: the variable is not set"
    folder = Path(root).expanduser() / name
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        return None, f"the folder COMPANION_DATA: {folder} has no {', '.join(missing)}"
    return folder, ""


def _verify(files: tuple[TableFile, ...], paths: list[Path]) -> None:
    for file, path in zip(files, paths, strict=True):
        if file.sha256 and (found := hub.sha256_of(path)) != file.sha256:
            raise DataError(
                f"{path} is not the file the registry knows: its SHA-256 is {found}, expected "
                f"{file.sha256}. Replace it by the original, or load it as a table of your own "
                "by giving its path."
            )


def _hub_reason(miss: hub.HubMiss) -> str:
    return f"the Hugging Face hub ({constants.ENDPOINT}): it {miss.reason}"


def _not_found(what: str, name: str, tried: list[str], remedy: str, again: bool) -> NotFoundError:
    places = "\n".join(f"  {number}. {reason}" for number, reason in enumerate(tried, 1))
    if again:
        remedy += ", or try again with a network"
    if Path(name).exists():
        remedy += f"; to use the {name} that lies here, write ./{name}"
    return NotFoundError(
        f"{what} was not found. Places tried, in this order:\n{places}\nTo mend it: {remedy}."
    )


def _unknown(kind: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"{name!r} is neither a file or folder here nor a known {kind}.{guess} "
        f"Known names: {', '.join(known)}."
    )
