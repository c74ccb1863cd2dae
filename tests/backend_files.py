"""Backends of a test: files in a folder that Python looks through before `runtime/`."""

from __future__ import annotations

from pathlib import Path

import pytest

import runtime

NOT_INSTALLED = """
from runtime.available import BackendInfo

BACKEND = BackendInfo(package="no_such_package", extra="serve", devices=("cpu",), rank=0)
"""


def add(patch: pytest.MonkeyPatch, folder: Path, **sources: str) -> None:
    """Put files before those of `runtime/`: name → source."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    patch.setattr(runtime, "__path__", [str(folder), *runtime.__path__])


def remove(patch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """Make these backends such as need a package that is not installed."""
    add(patch, folder, **dict.fromkeys(names, NOT_INSTALLED))
