"""Importing this silences the libraries below us, by environment variables that they read when they are imported."""

from __future__ import annotations

import os

for variable in ("TRANSFORMERS_VERBOSITY=error", "DIFFUSERS_VERBOSITY=error", "HF_HUB_DISABLE_PROGRESS_BARS=1"):
    os.environ.setdefault(*variable.split("="))
