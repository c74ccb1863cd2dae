"""The other side of `benchmarks.child.Peer`: a process that answers lines of JSON; it knows the standard library alone."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Commands = Mapping[str, Callable[..., Mapping[str, Any]]]


def peak_gb() -> float:
    """The most memory that this process has held (Linux). Not getrusage's figure, which begins with its parent's."""
    line = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line[1]) * 1024 / 1e9 if line else 0.0


def answer(commands: Commands) -> None:
    """Answer line by line until stdin ends; whatever libraries print goes to stderr. `peak` says the process's memory."""
    known: Commands = {**commands, "peak": lambda: {"GB": peak_gb()}}
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            said = known[request.pop("do")](**request)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(said), file=answers)
