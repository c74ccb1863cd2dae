"""Run a script from the command line: bad input is one line on stderr and exit code 2; it knows no command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import typer

import base.environment  # noqa: F401
from base.errors import BadInput

HELP = {"help_option_names": ["-h", "--help"]}
"""Settings of a command that shows its help."""


def run(main: Callable[..., None]) -> None:
    """Run `main` with the arguments of this process."""
    app = typer.Typer(add_completion=False)
    app.command(context_settings=HELP)(main)
    try:
        app()
    except BadInput as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        sys.exit(2)
