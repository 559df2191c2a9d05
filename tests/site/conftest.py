"""The site, built once a session: the real book, and a book of test pages beside it."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import build as book_build
import nbformat
import pytest

from tests.site.attention_page import attention_page
from tests.site.visits import VIEWS, Visit

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "fixtures"

TEST_CONTENTS = """\
format: jb-book
root: index
chapters:
  - file: machinery
  - file: attention_views
  - file: bibliography
"""


@dataclass(frozen=True)
class Site:
    """A built site: its folder, and what the build printed."""

    folder: Path
    printed: str = ""

    @property
    def pages(self) -> list[Path]:
        """Every page, without the theme's template files under _static."""
        return sorted(self.folder.glob("*.html"))


@pytest.fixture(scope="session")
def build() -> ModuleType:
    return book_build


@pytest.fixture(scope="session")
def site_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the test server serves: book/ and machinery/ below it."""
    return tmp_path_factory.mktemp("sites")


@pytest.fixture(scope="session")
def book(site_root: Path) -> Site:
    """The real book, built by the command that readers use."""
    out = site_root / "book"
    command = [sys.executable, "book/build.py", "--language", "en", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Site(out / "site" / "en", done.stdout)


@pytest.fixture(scope="session")
def machinery(site_root: Path, build: ModuleType) -> Site:
    """A book whose pages hold all that a chapter may hold; a Chinese edition is named."""
    out = site_root / "machinery"
    chapters, settings = out / "chapters" / "en", out / "settings"
    for folder in (chapters, settings, out / "chapters" / "zh"):
        folder.mkdir(parents=True)
    shutil.copy(FIXTURES / "machinery.ipynb", chapters)
    nbformat.write(attention_page(), chapters / "attention_views.ipynb")
    shutil.copy(ROOT / "chapters" / "en" / "bibliography.md", chapters)
    (chapters / "index.md").write_text("# Start\n\nThe start page.\n")
    (out / "chapters" / "zh" / "index.md").touch()
    (out / "chapters" / "zh" / "machinery.md").touch()
    shutil.copy(ROOT / "book" / "en" / "_config.yml", settings)
    (settings / "_toc.yml").write_text(TEST_CONTENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "editions", lambda: {"en": "English", "zh": "中文"})
        start = build.build(build.Edition("en", chapters, settings), out)
    return Site(start.parent)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(site_root: Path) -> Iterator[str]:
    """Where a server on this machine serves both sites."""
    handler = functools.partial(QuietHandler, directory=str(site_root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def chromium_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium, or a skip that says why; with COMPANION_REQUIRE_BROWSER=1, a failure."""
    path = chromium_path()
    if path is None:
        reason = "no Chromium or Chrome on the PATH (on Debian: apt-get install chromium)"
        if os.environ.get("COMPANION_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    flags += " --disable-background-networking --disable-component-update --disable-sync"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags.split())
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address) -> Iterator[object]:
    """A function that opens an address of the test server in a fresh browser profile."""
    contexts = []

    def open_page(
        path: str, view: str = "light", until: str = "networkidle", **options: object
    ) -> Visit:
        width, height, scheme = VIEWS[view]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        visited = Visit(context, address)
        visited.page.goto(f"{address}/{path}", wait_until=until)
        return visited

    yield open_page
    for context in contexts:
        context.close()
