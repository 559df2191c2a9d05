"""pyproject.toml, requirements.lock and environment.yml agree, and the core stays light."""

import re
import tomllib
from importlib.metadata import distribution, distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {
    extra: [Requirement(text) for text in texts]
    for extra, texts in PROJECT["optional-dependencies"].items()
}
DIRECT = [*CORE, *(requirement for group in EXTRAS.values() for requirement in group)]
LOCK_LINES = [
    line
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LOCKED = {canonicalize_name(Requirement(line).name): Requirement(line) for line in LOCK_LINES}
# Whatever brings a notebook, a kernel or a site generator.
HEAVY = re.compile(r"^(jupyter.*|notebook.*|nb(convert|client|dime)|ipykernel|ipython|sphinx.*)$")


def pin(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


def test_the_lock_names_exact_public_versions_once_each():
    for line in LOCK_LINES:
        assert re.fullmatch(r"[\w.-]+==[\w.!]+( ; sys_platform == \"\w+\")?", line), line
    assert len(LOCKED) == len(LOCK_LINES)
    assert pin(LOCKED["torch"]) == "2.13.0"


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_locked_version_lies_in_the_range_of_pyproject(requirement):
    locked = LOCKED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin(locked), prereleases=True)


def test_conda_gets_the_direct_dependencies_at_the_locked_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, last = environment["dependencies"]
    assert "python=3.11" in plain
    *pinned, editable = last["pip"]
    assert editable == "--editable ."
    found = {canonicalize_name(Requirement(line).name): pin(Requirement(line)) for line in pinned}
    wanted = {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert found == {name: pin(LOCKED[name]) for name in wanted}


def test_this_environment_is_the_lock_and_nothing_asks_for_more():
    """A package that another one asks for, and that the lock lacks, would come at any version."""
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    for name, requirement in LOCKED.items():
        if requirement.marker is None or requirement.marker.evaluate():
            version = installed[name].version.split("+")[0]
            assert version == pin(requirement), f"{name}: run `make environment`"
    missing = {
        f"{name} asks for {wanted}"
        for name in LOCKED
        if name in installed
        for wanted in needs(name)
        # Accelerators' libraries follow torch's own build for a machine.
        if wanted not in LOCKED and name != "torch"
    }
    assert missing == set()


def needs(name: str, extras: frozenset[str] = frozenset()) -> dict[str, frozenset[str]]:
    """What an installed package requires here: names, with the extras it asks of them."""
    found: dict[str, frozenset[str]] = {}
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            key = canonicalize_name(requirement.name)
            found[key] = found.get(key, frozenset()) | requirement.extras
    return found


def closure(requirements: list[Requirement]) -> set[str]:
    """Every package that these requirements bring, by the metadata of what is installed."""
    seen: dict[str, frozenset[str]] = {}
    waiting = [(canonicalize_name(r.name), frozenset(r.extras)) for r in requirements]
    while waiting:
        name, extras = waiting.pop()
        if name in seen and extras <= seen[name]:
            continue
        seen[name] = seen.get(name, frozenset()) | extras
        waiting += needs(name, seen[name]).items()
    return set(seen)


def test_the_core_brings_neither_jupyter_nor_sphinx():
    assert {name for name in closure(CORE) if HEAVY.match(name)} == set()
    # The same walk does find them where they are asked for.
    assert {"jupyterlab", "sphinx", "ipykernel", "nbconvert"} <= closure(EXTRAS["book"])


def test_every_locked_package_is_brought_by_a_direct_dependency():
    extra = set(LOCKED) - closure(DIRECT) - {"setuptools", "appnope"}
    assert extra == set()
