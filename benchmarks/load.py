"""Load on a served bundle by locust, from a process of its own: closed loop, then more than it can do; bounded in time.

python -m benchmarks.load BUNDLE PROMPT|LABEL [SECONDS] [CLIENTS]        (make load)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.served import served
from export.bundle import open_bundle

ANSWERED, REFUSED = 200, 429


def locustfile() -> str:
    """This file's other half, which locust runs."""
    return str(Path(__file__).with_name("locustfile.py"))


def drive(address: str, asked: dict[str, Any], clients: int, seconds: int) -> dict[str, Any]:
    """One closed loop of `clients`: status → how many, and percentiles of those answered in milliseconds."""
    command = [sys.executable, "-m", "locust", "--locustfile", locustfile(), "--headless", "--host", address]
    command += [
        "--users",
        str(clients),
        "--spawn-rate",
        str(clients),
        "--run-time",
        f"{seconds}s",
        "--loglevel",
        "ERROR",
    ]
    environment = {**os.environ, "IPPO_LOAD_BODY": json.dumps(asked)}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    line = next((line for line in reversed(output.stdout.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"locust ended with {output.returncode}: {output.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(line)
    return found


def main(bundle: str, wanted: str, seconds: int = 20, clients: int = 16) -> None:
    """One client, many, and ten times as many; the last line of each is JSON."""
    asked = dict.fromkeys(open_bundle(bundle).manifest.inputs, wanted)
    with served(bundle, "page=false", "max_queue=64") as client:
        for many in (1, clients, 10 * clients):
            found = {"clients": many, "seconds": seconds, **drive(str(client.base_url), asked, many, seconds)}
            other = Counter(found["statuses"]).keys() - {str(ANSWERED), str(REFUSED)}
            found["bad"] = sorted(other)
            print(json.dumps(found), flush=True)
        print(client.get("/metrics").text.count("ippo_"), "lines of metrics; the server is still there")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:5]))
