"""Write requirements.lock and environment.yml from the packages installed beside this Python.

To move to newer versions: make a fresh environment, `pip install --editable
".[book,test,explain,deploy,search]" setuptools`, run this file with its Python, then `make test`.
"""

import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# pip comes with an environment; companion itself is installed from the checkout.
LEFT_OUT = {"companion", "pip"}
# ipykernel asks for it on macOS alone, so a Linux environment does not show it.
ELSEWHERE = {"appnope": 'appnope==0.1.4 ; sys_platform == "darwin"'}
LOCK_HEADER = "# The exact versions that `make` installs. Written by .ci/write_lock.py.\n"
CONDA_HEADER = """\
# conda env create --file environment.yml && conda activate companion
# The direct dependencies at the versions of requirements.lock. Written by .ci/write_lock.py.
name: companion
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins() -> dict[str, str]:
    """Normalised package name to its line `name==version`, without a local tag such as `+cpu`."""
    found = {d.metadata["Name"]: d.version.split("+")[0] for d in distributions()}
    lines = {canonicalize_name(name): f"{name}=={version}" for name, version in found.items()}
    return {name: line for name, line in lines.items() if name not in LEFT_OUT} | ELSEWHERE


def direct_dependencies() -> list[str]:
    """The requirements of core and extras by name, each once, in the order of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = (canonicalize_name(Requirement(text).name) for group in groups for text in group)
    return list(dict.fromkeys(names))


def main() -> None:
    pinned = pins()
    lock = LOCK_HEADER + "".join(f"{pinned[name]}\n" for name in sorted(pinned))
    (ROOT / "requirements.lock").write_text(lock, encoding="utf-8")
    wanted = [pinned[name] for name in direct_dependencies()]
    conda = CONDA_HEADER + "".join(f"      - {line}\n" for line in [*wanted, "--editable ."])
    (ROOT / "environment.yml").write_text(conda, encoding="utf-8")


if __name__ == "__main__":
    main()
