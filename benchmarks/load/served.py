"""A bundle served for one picture: start the server as a user does, ask over HTTP, stop it.

python -m benchmarks.load.served BUNDLE PROMPT|LABEL FILE
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from runtime.bundle import open_bundle

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
        return str(self.client.base_url).rstrip("/")


@contextmanager
def started(bundle: str, *options: str) -> Iterator[Server]:
    """`ippo serve` on a free port, stopped at the end."""
    port = free_port()
    command = [sys.executable, "ippo.py", "serve", "--bundle", bundle, "--port", str(port), *options]
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _wait(client, process, log)
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
    with started(bundle, *options) as server:
        yield server.client


def main(bundle: str, wanted: str, file: str) -> None:
    """Draw one picture over HTTP and say how long it took."""
    asked = {**dict.fromkeys(open_bundle(bundle).manifest.inputs, wanted), "seed": 7}
    started = time.perf_counter()
    with served(bundle) as client:
        ready = time.perf_counter()
        answer = client.post("/generate", json=asked).raise_for_status()
        first = time.perf_counter()
        Path(file).write_bytes(answer.content)
    print(f"served '{wanted}' as {file}: ready after {ready - started:.1f} s, drawn in {1e3 * (first - ready):.0f} ms")


def _wait(client: httpx.Client, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log.seek(0)
            raise SystemExit(f"the server ended: {log.read().decode(errors='replace').strip()[-300:]}")
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"the server was not ready after {READY_SECONDS:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(*sys.argv[1:4])
