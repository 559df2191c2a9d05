"""What building refuses, and the sentence it says then."""

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def edition(tmp_path, build):
    """A book of one page that may be spoiled."""
    source, settings = tmp_path / "chapters" / "en", tmp_path / "settings"
    source.mkdir(parents=True)
    settings.mkdir()
    (source / "index.md").write_text("# Start\n\nA page.\n")
    (settings / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    shutil.copy(ROOT / "book" / "en" / "_config.yml", settings)
    return build.Edition("en", source, settings)


def test_a_page_missing_from_the_contents_is_named(build, edition):
    (edition.source / "12_news.ipynb").write_text("{}")
    with pytest.raises(build.BuildError, match=r"_toc\.yml does not list 12_news, found in"):
        build.check_contents(edition)


def test_a_page_in_the_contents_that_is_not_there_is_named(build, edition):
    (edition.settings / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: A\n  chapters:\n  - file: 99_gone\n"
    )
    with pytest.raises(build.BuildError, match="lists 99_gone, but chapters/en has no such page"):
        build.check_contents(edition)


def test_building_again_gives_the_same_files_and_a_warning_leaves_them(build, edition, tmp_path):
    def files(start: Path) -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in start.parent.rglob("*") if p.is_file()}

    first = files(build.build(edition, tmp_path / "out"))
    start = build.build(edition, tmp_path / "out")
    second = files(start)
    assert first.keys() == second.keys()
    assert [path.name for path in first if first[path] != second[path]] == []

    (edition.source / "index.md").write_text("# Start\n\nSee [a page](missing.md).\n")
    with pytest.raises(build.BuildError, match=r"index\.md:3: WARNING: .*missing\.md"):
        build.build(edition, tmp_path / "out")
    assert files(start) == first


def test_an_unknown_language_is_refused_in_a_sentence(build, capsys):
    assert build.main(["--language", "fr"]) == 1
    assert "There is no edition 'fr'" in capsys.readouterr().err


def test_without_a_network_the_build_says_what_it_could_not_fetch(build, tmp_path, monkeypatch):
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / "book" / name, tmp_path)
    monkeypatch.setattr(build, "BOOK", tmp_path)
    # Port 9 of this machine answers nobody.
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(build.BuildError, match=r"npm could not fetch .*mathjax.*needs a network"):
        build.install_assets()


def test_installed_assets_are_not_fetched_again(build, monkeypatch):
    build.install_assets()
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    build.install_assets()


def test_the_lock_holds_exact_versions_and_no_registry():
    manifest = json.loads((ROOT / "book" / "package.json").read_text())
    lock = json.loads((ROOT / "book" / "package-lock.json").read_text())
    for name, version in manifest["dependencies"].items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all("integrity" in entry for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())


def test_the_address_of_the_repository_comes_from_one_setting(build, edition):
    text = (ROOT / "book" / "settings.toml").read_text()
    repository = build.site_config(edition)["repository"]
    assert f'"{repository["url"]}"' in text
    assert repository["path_to_book"] == "chapters/en"
    configs = [ROOT / "book" / "_config.yml", *(ROOT / "book").glob("*/_config.yml")]
    assert not [path for path in configs if "github.com" in path.read_text()]
