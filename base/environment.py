"""Importing this sets what the libraries below us read from the environment when they load; a user's own values stay."""

from __future__ import annotations

import os

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
# Large pages for torch's memory on Linux: without them a training step on a CPU spends a seventh of its time on page faults.
LARGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}

for variable, value in {**QUIET, **LARGE_PAGES}.items():
    os.environ.setdefault(variable, value)
