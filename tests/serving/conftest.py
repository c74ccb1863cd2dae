"""A real bundle behind the real application: in process for most tests, and once as the server that people start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from base.shipped import ROOT
from benchmarks.load.served import free_port
from serving.serve_config import ServeConfig

READY_WITHIN = 300
SERVE = [sys.executable, str(ROOT / "ippo.py"), "serve"]


@pytest.fixture(scope="session")
def config(tiny_bundle: Path) -> ServeConfig:
    return ServeConfig(bundle=tiny_bundle, backend="ort", threads=1, page=False, batches=(1, 4))


@pytest.fixture(scope="session")
def client(config: ServeConfig) -> Iterator[TestClient]:
    """The application in this process."""
    from serving.application import application

    with TestClient(application(config), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The application of a bundle that draws from words and pictures, and writes."""
    from serving.application import application
    from tests.versatile_bundle import write_versatile

    folder = write_versatile(tmp_path_factory.mktemp("versatile") / "bundle")
    config = ServeConfig(bundle=folder, backend="eager", device="cpu", threads=1, page=False, batches=(1,))
    with TestClient(application(config), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def server(config: ServeConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server started as `ippo serve` starts it."""
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output, launched(config, output.fileno()) as (process, address):
        wait_until_ready(address, process, log)
        yield address


@contextmanager
def launched(config: ServeConfig, output: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`ippo serve` with this configuration, on a free port, and its address."""
    config = config.model_copy(update={"port": free_port()})
    process = subprocess.Popen(SERVE, env=environment(config), stdout=output, stderr=output)
    try:
        yield process, f"http://127.0.0.1:{config.port}"
    finally:
        process.terminate()
        process.wait(60)


def environment(config: ServeConfig) -> dict[str, str]:
    """That makes a Python process find the packages and this configuration."""
    return {**os.environ, **config.environment(), "PYTHONPATH": str(ROOT)}


def wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask /readyz until it says so; the socket listens before the worker answers, so most of the wait is one request."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=READY_WITHIN).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")
