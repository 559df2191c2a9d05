"""The command `companion`: parsing and printing only (chapter 20)."""

import sys
import warnings

# Each of these modules adds its commands to the app.
from companion.cli import (  # noqa: F401
    classification,
    comparing,
    measuring,
    pretraining,
    tuning,
)
from companion.cli.common import app, console, errors
from companion.errors import CompanionError

__all__ = ["app", "console", "errors", "main"]


def main() -> None:
    """Run the command; a user's mistake is a sentence on standard error and exit code 2."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app()
    except CompanionError as error:
        errors.print(f"[bold red]Error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("Interrupted. A training run goes on with --resume.")
        sys.exit(130)


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    """Our own warnings as a sentence; other libraries' are not for the command's user."""
    if category.__module__.startswith("companion."):
        errors.print(f"[yellow]Note:[/] {_plain(str(message))}", highlight=False, soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
