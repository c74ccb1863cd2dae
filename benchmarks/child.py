"""Child processes that print or answer lines of JSON; this file knows nothing of what they measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from base.errors import BadInput

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """What a child printed until it ended or its time was over."""

    objects: list[JsonObject]
    """Every line of its stdout that is a JSON object, in order; libraries print other lines as well."""
    failed: str
    """Why it did not succeed; empty where it did."""


def run_module(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, seconds: float | None = None
) -> Ended:
    """Run `python -m module` to its end, for `seconds` at most, with more variables in its environment."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, timeout=seconds
        )
        printed, failed = done.stdout, f"status {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        printed, failed = error.stdout or b"", f"not ready after {seconds:.0f} s"
    return Ended(json_objects(printed), failed)


def last_object(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, seconds: float | None = None
) -> JsonObject:
    """The last JSON object that `python -m module` prints. SystemExit: it failed, or printed none."""
    ended = run_module(module, *arguments, environment=environment, seconds=seconds)
    if ended.failed or not ended.objects:
        sys.exit(f"{module} {' '.join(arguments)}: {ended.failed or 'it printed no JSON'}")
    return ended.objects[-1]


def json_objects(printed: bytes) -> list[JsonObject]:
    """The lines that are JSON objects; one that was cut off in the middle is left out."""
    found: list[JsonObject] = []
    for line in printed.decode(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


class Peer(AbstractContextManager["Peer"]):
    """A script under the Python of another environment, which answers a line of JSON with a line of JSON."""

    def __init__(self, python: Path, script: Path) -> None:
        """Start it and wait until it has imported everything. BadInput: the interpreter is not there."""
        if not python.exists():
            raise BadInput(f"no peer: {python} is not there; `make interop` installs it")
        own = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        paths = {"PYTHONPATH": str(Path(__file__).parents[1])}  # for `benchmarks.peer_side`, whatever that Python has
        self._process = subprocess.Popen(
            [str(python), str(script)], env={**own, **paths, "HF_HUB_OFFLINE": "1"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._answer()

    def ask(self, command: str, **arguments: object) -> JsonObject:
        """Send a command and wait for its answer. BadInput: the peer failed; its own words."""
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        stdin.flush()
        return self._answer()

    def __exit__(self, *_: object) -> None:
        cast("IO[str]", self._process.stdin).close()
        self._process.wait(timeout=60)
        cast("IO[str]", self._process.stdout).close()

    def _answer(self) -> JsonObject:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise BadInput(f"the peer ended with status {self._process.wait()}; what it said is above")
        answer: JsonObject = json.loads(line)
        if "error" in answer:
            raise BadInput(f"the peer failed: {answer['error']}")
        return answer
