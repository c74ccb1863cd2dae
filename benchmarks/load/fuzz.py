"""Requests that schemathesis makes from a service's own OpenAPI, good and bad: none may end in 5xx or break the schema.

The document names every operation of every dialect (`tests/serving/test_fuzz.py`), with a picture where one is taken.

python -m benchmarks.load.fuzz BUNDLE [REQUESTS]        (make fuzz)
"""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from base.command import run
from benchmarks.load.served import started

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def fuzz(address: str, requests: int, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Up to `requests` a phase of every operation; the exit code is 0 when nothing was found."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", CHECKS]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(requests), "--seed", str(seed)]
    command += ["--mode", "all", "--warnings", "off", "--continue-on-failure", "--request-timeout", "60"]
    return subprocess.run(command, capture_output=True, text=True)


def main(
    bundle: Annotated[str, typer.Argument(help="Folder of the bundle.")],
    requests: Annotated[int, typer.Argument(help="Most of an operation and phase.", min=1)] = 1600,
) -> None:
    """Say what was found; the exit code is schemathesis's."""
    with started("serve", "--bundle", bundle, "page=false") as server:
        result = fuzz(server.address, requests)
    print(result.stdout[-4000:])
    raise SystemExit(result.returncode)


if __name__ == "__main__":
    run(main)
