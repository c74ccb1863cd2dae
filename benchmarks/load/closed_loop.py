"""Clients that ask again as soon as they are answered, by Debian's wrk: as light as a generator of load gets, one thread of C.

What it takes itself is told apart, for client and service share the machine. It knows nothing about what is served.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.errors import BadInput
from benchmarks.child import json_objects

SCRIPT = Path(__file__).with_suffix(".lua")
TIMEOUT = 60
"""Seconds that a client waits for an answer."""


@dataclass(frozen=True)
class Load:
    """What the clients saw together."""

    answers: int
    """Of every status."""
    refused: int
    """Those with an error's status."""
    failed: int
    """Connections without an answer."""
    seconds: float
    p50: float
    """Milliseconds, of every status."""
    p99: float
    processor: float
    """Seconds of processor time that the clients took."""

    @property
    def pictures(self) -> int:
        """How many were drawn."""
        return self.answers - self.refused


def installed() -> bool:
    """Whether wrk is there: Debian's package, or Homebrew's."""
    return shutil.which("wrk") is not None


def closed_loop(address: str, body: Mapping[str, object], clients: int, seconds: int) -> Load:
    """`clients` that POST `body` to `/generate` for so many seconds, each time with another seed.

    BadInput: wrk failed, or is missing.
    """
    if not installed():
        raise BadInput("no wrk: it makes the load; install it (apt-get install wrk)")
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"]
    command += ["--timeout", f"{TIMEOUT}s", "--script", str(SCRIPT), address]
    before = _children()
    done = subprocess.run(command, env={**os.environ, "IPPO_LOAD_BODY": json.dumps(body)}, capture_output=True)
    told = json_objects(done.stdout)
    if done.returncode or not told:
        raise BadInput(f"wrk failed: {' '.join(done.stderr.decode(errors='replace').split())[:200]}")
    return Load(**told[-1], processor=_children() - before)


def _children() -> float:
    """Processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
