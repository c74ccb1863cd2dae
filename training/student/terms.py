"""The terms there are: every file of this package that names a `TERM`, by the file's name; it knows none of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training import student
from training.student.term import Term


def discover() -> dict[str, type[Term[Any]]]:
    """Name → class, in alphabetical order, which is the order of their losses; files that name no `TERM` are not imported."""
    files = sorted(file for folder in student.__path__ for file in Path(folder).glob("*.py"))
    names = sorted(file.stem for file in files if re.search(r"^TERM\b", file.read_text(), re.MULTILINE))
    return {name: importlib.import_module(f"{student.__name__}.{name}").TERM for name in names}


TERMS: Mapping[str, type[Term[Any]]] = discover()
"""Name, which is the configuration's key → class."""
