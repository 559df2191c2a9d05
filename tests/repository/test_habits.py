"""The same checks run by hand, before a commit and on the server; the Makefile keeps its word."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.repository.files import ROOT


def make(
    *arguments: str, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run make as a user would: without the variables of a make around these tests."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "COMPANION", "PYTHON"))
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_commit_is_checked_by_what_make_lint_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = hooks["repos"]
    assert local["repo"] == "local"
    assert all(hook["language"] == "system" for hook in local["hooks"])
    entries = [hook["entry"] for hook in local["hooks"]]
    lines = make("--dry-run", "lint").stdout.splitlines()
    run = [re.sub(r'^\.ci/step "[^"]*" ', "", x) for x in lines if x.startswith(".ci/step")]
    assert entries == run
    assert len(run) == 5


def test_make_test_runs_the_checks_and_then_every_test():
    lines = make("--dry-run", "test").stdout.splitlines()
    assert lines[-1] == ".venv/bin/pytest --numprocesses 2 --dist loadgroup"
    assert sum(line.startswith(".ci/step") for line in lines) == 5


def test_help_is_what_make_says_by_itself():
    shown = make().stdout
    for target in ("make book", "make test", "make lab", "make chapters"):
        assert target in shown


def test_the_server_runs_the_same_and_allows_no_skipped_browser_test():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert "export COMPANION_REQUIRE_BROWSER=1" in script
    assert script.rstrip().endswith("exec make test")
    for name in (".ci/run", ".ci/step"):
        assert os.access(ROOT / name, os.X_OK)
        subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
    flow = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))
    test, publish = flow["jobs"]["test"], flow["jobs"]["publish"]
    assert ".ci/run" in [step.get("run") for step in test["steps"]]
    assert test["env"]["COMPANION_REQUIRE_BROWSER"] == "1"
    assert publish["needs"] == "test"
    assert "make book" in [step.get("run") for step in publish["steps"]]


def test_a_step_passes_on_the_status_of_its_command():
    step = str(ROOT / ".ci/step")
    done = subprocess.run([step, "a name", "false"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a name failed after" in done.stderr
    done = subprocess.run([step, "a name", "echo", "x"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"== a name\nx\n== a name: \d+ s\n", done.stdout)


def test_browser_tests_that_may_not_be_skipped_fail(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: needs one\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.browser\ndef test_page():\n    pytest.skip('no Chromium')\n"
        "\ndef test_other():\n    pytest.skip('no GPU')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", str(tmp_path)]
    for required, outcome in (("0", "2 skipped"), ("1", "1 failed, 1 skipped")):
        environment = os.environ | {
            "COMPANION_REQUIRE_BROWSER": required,
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert outcome in done.stdout.splitlines()[-1], done.stdout


# Builds the editable wheel of an almost empty package with nothing but Python.
BACKEND = """\
import zipfile
from pathlib import Path

NAME = "companion-0-py3-none-any.whl"


def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(Path(folder) / NAME, "w") as wheel:
        wheel.writestr("companion.pth", str(Path.cwd()))
        info = "companion-0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: companion\\nVersion: 0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr(info + "RECORD", "")
    return NAME
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the project's Makefile and next to nothing to install."""
    folder = tmp_path.resolve() / "checkout"
    (folder / "companion").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "companion/__init__.py").touch()
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def old_python(folder: Path) -> Path:
    """Something that answers as Python 3.9 would."""
    path = folder / "old-python"
    path.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    path.chmod(0o755)
    return path


def test_an_old_python_is_told_apart_in_a_sentence(checkout):
    done = make("environment", f"PYTHON={old_python(checkout)}", folder=checkout)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout
    assert "Python 3.9.2" in done.stdout
    assert "make book PYTHON=python3.12" in done.stdout
    assert not (checkout / ".venv").exists()


@pytest.mark.slow
def test_the_environment_is_made_once_and_made_again_when_it_has_to_be(checkout):
    def ready() -> list[str]:
        return sorted(path.name for path in (checkout / ".venv").glob("ready-*"))

    done = make("environment", folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    (first,) = ready()
    shown = subprocess.run(
        [".venv/bin/python", "-c", "import companion; print(companion.__file__)"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(shown.stdout.strip()) == checkout / "companion/__init__.py"
    assert "Nothing to be done" in make("environment", folder=checkout).stdout

    (checkout / "requirements.lock").write_text("a-package-that-is-nowhere==1 ; 1 == 2\n")
    assert make("environment", folder=checkout).returncode != 0
    assert ready() == [first]
    assert (checkout / ".venv/installing").exists()

    (checkout / "requirements.lock").write_text("# nothing, said otherwise\n")
    (checkout / ".venv/left-over").touch()
    done = make("environment", folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "did not finish: starting afresh" in done.stdout
    assert not (checkout / ".venv/left-over").exists()
    assert len(ready()) == 1
    assert ready() != [first]


def test_real_data_beside_the_checkout_is_found_unless_the_user_names_other(checkout):
    show = checkout / "show.mk"
    show.write_text("include Makefile\nshow:\n\t@echo data=$(COMPANION_DATA)=$$COMPANION_DATA\n")
    assert make("-f", "show.mk", "show", folder=checkout).stdout == "data==\n"
    data = checkout.parent / "shared/data"
    data.mkdir(parents=True)
    (data / "README.md").touch()
    assert make("-f", "show.mk", "show", folder=checkout).stdout == f"data={data}={data}\n"
    own = make("-f", "show.mk", "show", folder=checkout, COMPANION_DATA="/own")
    assert own.stdout == "data=/own=/own\n"


def test_a_notebook_s_difference_leaves_out_the_run_s_numbers(tmp_path):
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, tmp_path / "old.ipynb")
    cell.execution_count = 9
    nbformat.write(notebook, tmp_path / "again.ipynb")
    cell.source = "1 + 2"
    nbformat.write(notebook, tmp_path / "new.ipynb")

    def difference(name: str) -> str:
        command = [str(Path(sys.executable).with_name("nbdiff")), "--no-color"]
        files = [str(tmp_path / "old.ipynb"), str(tmp_path / name)]
        done = subprocess.run(
            [*command, *files], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert difference("again.ipynb") == ""
    assert "+  1 + 2" in difference("new.ipynb")
    assert "execution_count" not in difference("new.ipynb")


def test_a_bare_server_gets_a_browser_and_a_font_and_hides_no_failure(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "id", "env", "grep"):
        (tools / name).symlink_to(shutil.which(name) or name)
    for name in ("apt-get", "sudo", "make"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*"\n[ "$*" != test ] || exit 3\n')
        (tools / name).chmod(0o755)
    done = subprocess.run(
        [str(ROOT / ".ci/run")],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.removeprefix("sudo ") for line in done.stdout.splitlines() if "==" not in line]
    assert lines == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk",
        "make environment",
        "make test",
    ]
    assert done.returncode == 3
