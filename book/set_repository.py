"""Give the project its public address: rewrite every link to the repository.

    python book/set_repository.py https://github.com/OWNER/NAME [--branch BRANCH]

Colab opens notebooks of GitHub alone, so the address is one of GitHub. The links stand in the
README, the citation file, pyproject.toml, the site's configuration and the chapters' first
cells; `book/settings.toml` says which address they hold now.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "book/settings.toml"
# A GitHub name: letters, digits and single inner hyphens.
ADDRESS = re.compile(
    r"https://github\.com/(?P<slug>(?:[A-Za-z0-9]+-)*[A-Za-z0-9]+/[A-Za-z0-9_.-]+?)(?:\.git)?/?"
)


def read_settings(root: Path = ROOT) -> dict[str, str]:
    """`repository` (an address without a slash at its end) and `branch`."""
    return tomllib.loads((root / SETTINGS).read_text(encoding="utf-8"))


def slug(repository: str) -> str:
    """OWNER/NAME of a repository's address."""
    return repository.removeprefix("https://github.com/")


def files_with_links(root: Path) -> list[Path]:
    """Every text file of the project, whether or not git knows it yet; tests write their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [root / name for name in sorted(set(listed)) if name and not name.startswith("tests/")]


def replacements(old: dict[str, str], new: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns and what takes their place, the longest form first."""
    old_slug, new_slug = slug(old["repository"]), slug(new["repository"])
    old_owner, old_name = old_slug.split("/")
    new_owner, new_name = new_slug.split("/")
    before, after = r"(?<![\w.-])", r"(?![\w-])"
    pages = f"{old_owner}.github.io/{old_name}"
    return [
        (
            re.compile(
                f"{before}{re.escape(old_slug)}/(blob|tree|raw)/{re.escape(old['branch'])}/"
            ),
            rf"{new_slug}/\1/{new['branch']}/",
        ),
        (re.compile(before + re.escape(old_slug) + after), new_slug),
        (re.compile(before + re.escape(pages) + after), f"{new_owner}.github.io/{new_name}"),
    ]


def set_repository(address: str, branch: str | None = None, root: Path = ROOT) -> list[Path]:
    """Rewrite the links below `root` and return the files that changed.

    Raises ValueError when `address` is not that of a GitHub repository.
    """
    match = ADDRESS.fullmatch(address)
    if not match:
        raise ValueError(
            f"'{address}' is not the address of a GitHub repository; "
            "expected https://github.com/OWNER/NAME"
        )
    old = read_settings(root)
    new = {
        "repository": f"https://github.com/{match['slug']}",
        "branch": branch or old["branch"],
    }
    changed = []
    for path in files_with_links(root):
        try:
            text = path.read_bytes().decode("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture or a font; or a file deleted but not yet committed
        fresh = text
        for pattern, replacement in replacements(old, new):
            fresh = pattern.sub(replacement, fresh)
        if path == root / SETTINGS:
            fresh = fresh.replace(f'branch = "{old["branch"]}"', f'branch = "{new["branch"]}"')
        if fresh != text:
            path.write_bytes(fresh.encode("utf-8"))
            changed.append(path)
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="https://github.com/OWNER/NAME")
    parser.add_argument("--branch", help="the branch that readers get (default: unchanged)")
    options = parser.parse_args()
    try:
        changed = set_repository(options.address, options.branch)
    except ValueError as error:
        sys.exit(f"{error}.")
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed")


if __name__ == "__main__":
    main()
