"""The one exception a user may see: its text is a single line; it knows nothing about where it is shown."""

from __future__ import annotations

import re


class BadInput(ValueError):
    """What was wrong and what is accepted, in one line. The command line prints it and exits 2, HTTP answers 400."""


def first_line(said: object) -> str:
    """The first line of what another's error says, without the system's numbers (`[Errno -2]`); 200 characters at most."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(said).strip().partition("\n")[0])[:200]
