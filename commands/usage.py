"""How the command line speaks: in the order of the work, and of a slip in one line; it knows no command but `data`."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperGroup


class InOrder(TyperGroup):
    """Lists what is done first first: typer lists groups of commands, of which `data` is the one, behind the commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name != "data")


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
