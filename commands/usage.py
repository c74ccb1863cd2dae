"""How the command line speaks: in the order of the work, and of a slip in one line; it knows no command but `data`."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from base.version import VERSION

_FILES = {
    *(errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS),
}
"""What a system says of a file or folder that is missing, of another kind, or not to be written."""


class InOrder(TyperGroup):
    """Lists what is done first first: typer lists groups of commands, of which `data` is the one, behind the commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name != "data")


def arguments(words: Sequence[str]) -> list[str]:
    """What was typed, `help` in the place of a command as the option: `ippo help train` is `ippo train --help`."""
    return [*words[1:], "--help"] if words and words[0] == "help" else list(words)


def say_version(wanted: bool) -> None:
    """Print the version and end, where it is asked for."""
    if wanted:
        print(f"ippo {VERSION}")
        raise typer.Exit


def of_the_system(error: OSError) -> str:
    """What the system refused with a file or folder that the user named, in one line; "" where it is another fault."""
    if error.errno not in _FILES or error.filename is None:
        return ""
    reason = (error.strerror or str(error)).lower()
    return f"{os.fsdecode(error.filename)}: {reason}; accepted: a file or folder that can be read, or written, here"


def in_one_line(error: typer.TyperException) -> str:
    """What typer says of a command that it cannot read, with the nearest name or where to look; "" where it showed help."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    if not said:
        return ""
    said = said[0].lower() + said[1:]
    nearest: list[str] = getattr(error, "possibilities", None) or []
    if nearest:
        said = f"{said.partition(' (Possible')[0]}; did you mean {' or '.join(sorted(nearest))}?"
    said = re.sub(r"\. Did you", "; did you", said).replace("Value error, ", "")  # pydantic's
    context = getattr(error, "ctx", None)
    return said if said.endswith("?") or context is None else f"{said}; see {context.command_path} --help"
