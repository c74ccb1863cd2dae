"""Importing this sets what the libraries below us read when they load, and silences what they repeat in every log.

A user's own values, and warnings that were asked for (`-W`, `PYTHONWARNINGS`), stay.
"""

from __future__ import annotations

import os
import sys
import warnings

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
# Large pages for torch's memory on Linux: without them a training step on a CPU spends a seventh of its time on page faults.
LARGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}

for variable, value in {**QUIET, **LARGE_PAGES}.items():
    os.environ.setdefault(variable, value)

# diffusers' notices of what will change in some later version, at every start of a teacher: nothing a user could do.
if not sys.warnoptions:
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"diffusers\.")

_report = sys.unraisablehook


def _quiet(unraisable: sys.UnraisableHookArgs) -> None:
    """filelock's hooks on forks miss their own notes where a process forks while filelock is imported; it goes on without."""
    hook = getattr(unraisable.object, "__module__", None) or ""
    if not (isinstance(unraisable.exc_value, KeyError) and hook.startswith("filelock")):
        _report(unraisable)


sys.unraisablehook = _quiet
