"""Measures; nothing here is deployed."""

import os

for quiet in ("TRANSFORMERS_VERBOSITY=error", "DIFFUSERS_VERBOSITY=error", "HF_HUB_DISABLE_PROGRESS_BARS=1"):
    os.environ.setdefault(*quiet.split("="))  # tables and our own progress are what one wants to see
