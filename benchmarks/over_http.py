"""The service as a client sees it: one connection kept alive on the loopback; it knows nothing of what draws."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.cases import PROMPTS
from models.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0


@contextmanager
def service(bundle: Path, log: Path) -> Iterator[str]:
    """A service of our own on a free port, ended by its own id; yields its address. BadInput: it does not start."""
    url = f"http://127.0.0.1:{(port := _free_port())}"
    command = [sys.executable, "-m", "ippo", "serve", "--bundle", str(bundle.resolve()), "--port", str(port)]
    with log.open("wb") as lines:
        process = subprocess.Popen(command, cwd=ROOT, stdout=lines, stderr=lines, start_new_session=True)
    try:
        _wait_until_ready(url, process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@contextmanager
def client(url: str) -> Iterator[httpx.Client]:
    """One connection, kept alive; proxies of the environment are left out."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as opened:
        yield opened


def draw(opened: httpx.Client, seed: int = 0) -> bytes:
    """One PNG over `POST /generate`."""
    answer = opened.post("/generate", json={"prompt": PROMPTS[0], "seed": seed})
    answer.raise_for_status()
    return answer.content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise BadInput(f"the service did not become ready; its log: {log}")
