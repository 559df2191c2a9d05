"""One command gives the project its address, everywhere and for good."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from set_repository import SETTINGS, read_settings, set_repository, slug

from tests.repository.files import ROOT, project_files

ADDRESS = "https://github.com/some-owner/some-book"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A copy of the project's files under git, as a reader would have cloned them."""
    folder = tmp_path_factory.mktemp("original")
    for path in project_files():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    }


def test_no_link_keeps_the_old_address(copy):
    old = slug(read_settings(copy)["repository"])
    before = contents(copy)
    changed = {path.relative_to(copy).as_posix() for path in set_repository(ADDRESS, root=copy)}
    after = contents(copy)
    assert changed == {name for name in before if before[name] != after[name]}
    holds = {name for name, text in after.items() if old.encode() in text}
    assert {name for name in holds if not name.startswith("tests/")} == set()
    assert read_settings(copy) == {"repository": ADDRESS, "branch": "main"}


@pytest.mark.parametrize("name", ["CITATION.cff", "pyproject.toml", SETTINGS])
def test_each_place_that_names_the_repository_is_rewritten(copy, name):
    set_repository(ADDRESS, root=copy)
    assert "some-owner/some-book" in (copy / name).read_text(encoding="utf-8")


def test_every_chapter_offers_colab_and_the_package_from_the_new_address(copy):
    set_repository(ADDRESS, root=copy)
    for path in copy.glob("chapters/*/[0-9]*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert f"github/some-owner/some-book/blob/main/{path.relative_to(copy)}" in text
        assert ADDRESS in text


def test_a_second_run_changes_nothing(copy):
    set_repository(ADDRESS, root=copy)
    before = contents(copy)
    assert set_repository(ADDRESS, root=copy) == []
    assert set_repository(ADDRESS + ".git", root=copy) == []
    assert set_repository(ADDRESS + "/", root=copy) == []
    assert contents(copy) == before


def test_the_way_back_leads_to_the_same_files(copy):
    set_repository(ADDRESS, root=copy)
    before = contents(copy)
    set_repository("https://github.com/another-owner/another-name", branch="stable", root=copy)
    assert read_settings(copy)["branch"] == "stable"
    set_repository(ADDRESS, branch="main", root=copy)
    assert contents(copy) == before


def test_forms_of_a_link_are_known_and_resemblances_left_alone(copy):
    old = read_settings(copy)
    owner, name = slug(old["repository"]).split("/")
    page = copy / "page.md"
    page.write_text(
        f"git+https://github.com/{owner}/{name}.git@main\n"
        f"https://colab.research.google.com/github/{owner}/{name}/blob/main/a.ipynb\n"
        f"https://{owner}.github.io/{name}/en/\n"
        f"See github.com/{owner}/{name}.\n"
        f"https://github.com/{owner}/{name}-data and my{owner}/{name}\n"
    )
    set_repository(ADDRESS, branch="stable", root=copy)
    assert page.read_text().splitlines() == [
        "git+https://github.com/some-owner/some-book.git@main",
        "https://colab.research.google.com/github/some-owner/some-book/blob/stable/a.ipynb",
        "https://some-owner.github.io/some-book/en/",
        "See github.com/some-owner/some-book.",
        f"https://github.com/{owner}/{name}-data and my{owner}/{name}",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "some-owner/some-book",
        "http://github.com/some-owner/some-book",
        "https://github.com/some-owner",
        "https://github.com/-unset-/companion",
        "https://github.com/a--b/c",
        "https://gitlab.com/some-owner/some-book",
        "https://github.com/a/b/tree/main",
        "https://github.com/a b/c",
    ],
)
def test_what_is_no_address_of_a_repository_is_refused(copy, address):
    before = contents(copy)
    with pytest.raises(ValueError, match=r"expected https://github\.com/OWNER/NAME"):
        set_repository(address, root=copy)
    assert contents(copy) == before


def test_the_command_says_what_it_changed_and_refuses_in_a_sentence(copy):
    command = [sys.executable, "book/set_repository.py"]
    done = subprocess.run([*command, ADDRESS], cwd=copy, capture_output=True, text=True, check=True)
    assert SETTINGS in done.stdout.splitlines()
    done = subprocess.run([*command, "here"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("'here' is not the address of a GitHub repository; expected")


def test_the_placeholder_is_a_name_that_nobody_can_register():
    owner = slug(read_settings()["repository"]).split("/")[0]
    assert owner.startswith("-") or "-unset-" not in owner
