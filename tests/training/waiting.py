"""Waiting for another process without taking its core."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Any


def waited(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Whether it is still there after so long."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is None
