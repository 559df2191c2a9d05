"""Calling the command as a user does."""

import sys

import pytest

from companion import cli


@pytest.fixture
def companion(monkeypatch, capsys):
    """Call the command in this process; gives exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["companion", *map(str, arguments)])
        monkeypatch.setattr(cli.console, "width", 200)
        monkeypatch.setattr(cli.errors, "width", 200)
        code = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call
