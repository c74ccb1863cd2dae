"""What libraries repeat in every log is not printed; what is anybody's own is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FORKS = """
import os, types
import base.environment

def hook():
    raise KeyError(7)

hook.__module__ = MODULE
os.register_at_fork(after_in_parent=hook)
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
WARNS = """
import warnings
import base.environment
warnings.warn_explicit("will be removed", FutureWarning, "file.py", 1, module=MODULE)
"""


def said(code: str, module: str, *options: str) -> str:
    command = [sys.executable, *options, "-c", code.replace("MODULE", repr(module))]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=clean).stderr


def test_hooks_of_filelock_are_silent_and_others_are_not() -> None:
    assert said(FORKS, "filelock._api") == ""
    assert "KeyError: 7" in said(FORKS, "somebody")


def test_notices_of_diffusers_are_silent_unless_asked_for() -> None:
    assert said(WARNS, "diffusers.utils.deprecation_utils") == ""
    assert "will be removed" in said(WARNS, "somebody")
    assert "will be removed" in said(WARNS, "diffusers.utils.deprecation_utils", "-W", "default")
