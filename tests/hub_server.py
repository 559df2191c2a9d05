"""A small Hugging Face hub on 127.0.0.1 that serves the files of a folder.

It speaks as much of the hub's protocol as `huggingface_hub` and `transformers` use to read:
files by revision with ETag, commit and ranges, the description of a repository, its list of
files. It can also misbehave on purpose.

    with HubServer(folder) as hub:      # folder/models/OWNER/NAME/..., folder/datasets/...
        subprocess.run([...], env={**os.environ, **hub.environment(tmp_path)})
"""

from __future__ import annotations

import hashlib
import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 10_000  # bytes from which on a file is named by SHA-256, as with git LFS
COMMIT = re.compile(r"[0-9a-f]{40}")
FILE_URL = re.compile(
    r"/(?P<kind>datasets/)?(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<rev>[^/]+)/(?P<path>.+)"
)
API_URL = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+(?:/[^/]+)?)"
    r"(?:/(?P<what>revision|tree)/(?P<rev>[^/]+))?"
)


class HubServer:
    """Serves `folder` while the context lasts.

    Attributes:
        requests: what was asked for, such as `GET /o/n/resolve/main/config.json`.
        faults: misbehaviour by file name: `drop` (the connection breaks in the middle of the
            body, and again at once when the rest is asked for), `drop-once`, `corrupt` (one
            byte is changed, the ETag is that of the true file), or an HTTP status to answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.faults: dict[str, str | int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Variables with which a new process asks this hub, and keeps its cache in `home`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the door: from now on connections are refused."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(_Handler):
            server_hub = hub

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        self.server_hub.requests.append(f"{self.command} {unquote(self.path)}")
        path = urlsplit(self.path).path
        for pattern, answer in ((API_URL, self._api), (FILE_URL, self._file)):
            if match := pattern.fullmatch(path):
                kind = (match["kind"] or "models").rstrip("/")
                repo = self.server_hub.folder / kind / match["repo"]
                if not repo.is_dir():
                    return self._fail(
                        HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository Not Found"
                    )
                revision = unquote(match["rev"] or "main")
                if revision != "main" and not COMMIT.fullmatch(revision):
                    return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", "Invalid rev id")
                commit = revision if COMMIT.fullmatch(revision) else _commit(repo)
                return answer(match, repo, commit)
        return self._fail(HTTPStatus.NOT_FOUND, None, "Not Found")

    def _api(self, match: re.Match[str], repo: Path, commit: str) -> None:
        files = sorted(path for path in repo.rglob("*") if path.is_file())
        names = [path.relative_to(repo).as_posix() for path in files]
        if match["what"] == "tree":
            self._json([_tree_entry(n, p.read_bytes()) for n, p in zip(names, files, strict=True)])
        else:
            siblings = [{"rfilename": name} for name in names]
            self._json({"id": match["repo"], "sha": commit, "siblings": siblings, "private": False})

    def _file(self, match: re.Match[str], repo: Path, commit: str) -> None:
        path = repo / unquote(match["path"])
        fault = self.server_hub.faults.get(path.name)
        if isinstance(fault, int):
            return self._fail(HTTPStatus(fault), None, "as it was told")
        headers = {"X-Repo-Commit": commit}
        if not path.is_file():
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", headers)
        body = path.read_bytes()
        headers |= {"ETag": f'"{_etag(body)}"', "Accept-Ranges": "bytes"}
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self._send(
            HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK, headers, len(body) - start
        )
        if self.command == "HEAD":
            return None
        if fault in ("drop", "drop-once"):
            if fault == "drop-once":
                del self.server_hub.faults[path.name]
            self.wfile.write(b"" if start else body[: len(body) // 2])
            self.close_connection = True
            return None
        self.wfile.write(body[start:])
        return None

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._send(HTTPStatus.OK, {"Content-Type": "application/json"}, len(body))
        if self.command == "GET":
            self.wfile.write(body)

    def _fail(
        self,
        status: HTTPStatus,
        code: str | None,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        headers = {**(headers or {}), "X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self._send(status, headers, 0)

    def _send(self, status: HTTPStatus, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _etag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if len(body) >= LARGE else _git_id(body)


def _git_id(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _commit(repo: Path) -> str:
    """A commit that changes with the content, as git's does."""
    files = sorted(path for path in repo.rglob("*") if path.is_file())
    state = "".join(f"{path.relative_to(repo)} {_git_id(path.read_bytes())}\n" for path in files)
    return hashlib.sha1(state.encode()).hexdigest()


def _tree_entry(name: str, body: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": _git_id(body), "size": len(body), "path": name}
    if len(body) >= LARGE:
        sha256 = hashlib.sha256(body).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(body), "pointerSize": 130}
    return entry
