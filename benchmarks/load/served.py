"""A server of ippo started as a user does, and one picture asked of it over HTTP; it knows nothing of how it is drawn.

python -m benchmarks.load.served BUNDLE PROMPT|LABEL FILE
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from base.command import run
from base.shipped import ROOT
from runtime.bundle import open_bundle

IPPO = ROOT / "ippo.py"
READY_SECONDS = 180.0


@dataclass(frozen=True)
class Server:
    """A server that is ready, and a keep-alive client for it."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    ready: float
    """Seconds from its start until it was."""

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        return str(self.client.base_url).rstrip("/")

    @property
    def processes(self) -> list[psutil.Process]:
        """Its own and its children."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    @property
    def processor(self) -> float:
        """Seconds of processor time that its processes have taken."""
        return float(sum(sum(one.cpu_times()[:2]) for one in self.processes))

    @property
    def pss_mb(self) -> float:
        """Proportional set size of its processes: what they share counts once."""
        return float(sum(one.memory_full_info().pss for one in self.processes) / (1 << 20))


@contextmanager
def started(
    *command: str, ready: str = "/readyz", environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[Server]:
    """`ippo COMMAND` on a free port, from the moment that `ready` answers; stopped at the end. SystemExit: it did not start."""
    port, began = free_port(), time.perf_counter()
    words = [sys.executable, str(IPPO), *command, "--port", str(port)]
    variables = {**os.environ, **(environment or {})}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(words, stdout=log, stderr=log, env=variables, cwd=folder) as process,
    ):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY_SECONDS) as client:
                _wait(client, ready, process, log)
                yield Server(client, process, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def served(bundle: str, *options: str) -> Iterator[httpx.Client]:
    """A client of a server that is stopped at the end."""
    with started("serve", "--bundle", bundle, *options) as server:
        yield server.client


def _wait(client: httpx.Client, ready: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            raise SystemExit(f"the server ended: {log.read().decode(errors='replace').strip()[-300:]}")
        with suppress(httpx.TransportError):
            if client.get(ready).is_success:
                return
        time.sleep(0.02)
    raise SystemExit(f"the server was not ready after {READY_SECONDS:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(bundle: str, text: str, file: Path) -> None:
    """Draw one picture over HTTP and say how long it took; the last line of stdout is JSON."""
    body = {**dict.fromkeys(open_bundle(bundle).manifest.inputs, text), "seed": 7}
    with started("serve", "--bundle", bundle) as server:
        began = time.perf_counter()
        answer = server.client.post("/generate", json=body).raise_for_status()
        first = 1e3 * (time.perf_counter() - began)
        file.write_bytes(answer.content)
    print(json.dumps({"served": text, "file": str(file), "ready s": round(server.ready, 1), "drawn ms": round(first)}))


if __name__ == "__main__":
    run(main)
