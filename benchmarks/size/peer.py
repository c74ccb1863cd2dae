"""A peer that lives in an environment of its own, asked through a pipe; it knows nothing of what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

from base.errors import BadInput

INTEROP = Path(".venv-interop/bin/python")
"""What `make interop` installs."""
OPTIMUM = Path(__file__).with_name("optimum_peer.py")


class Peer(AbstractContextManager["Peer"]):
    """`script` run by the interpreter `python`: a line of JSON in, a line of JSON out."""

    def __init__(self, python: Path = INTEROP, script: Path = OPTIMUM) -> None:
        if not python.exists():
            raise BadInput(f"no peer: {python} is not there; `make interop` installs it")
        own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        command, pipes = [str(python), str(script)], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, env={**own, "HF_HUB_OFFLINE": "1"}, text=True, **pipes)  # type: ignore[call-overload]
        self._answer()  # it has imported everything

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """BadInput: the peer failed; its own words."""
        asked = cast("IO[str]", self._process.stdin)
        asked.write(json.dumps({"do": command, **arguments}) + "\n")
        asked.flush()
        return self._answer()

    def __exit__(self, *_: object) -> None:
        cast("IO[str]", self._process.stdin).close()
        self._process.wait(timeout=60)
        cast("IO[str]", self._process.stdout).close()

    def _answer(self) -> dict[str, Any]:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise BadInput(f"the peer ended with status {self._process.wait()}; what it said is above")
        answer = json.loads(line)
        if "error" in answer:
            raise BadInput(f"the peer failed: {answer['error']}")
        return dict(answer)
