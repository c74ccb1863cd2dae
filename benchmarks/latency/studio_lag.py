"""The studio beside its bars: its first page, and how far a curve in a real browser lags behind the run that writes it.

python -m benchmarks.latency.studio_lag [--starts 5 --lines 30]        (make bench-studio)
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from benchmarks.command import run
from benchmarks.latency.browser import Browser
from benchmarks.load.served import free_port
from training.run.log import Log

RUN = "watched"
CURVE = "document.querySelector('#monitor-curves [aria-label=\"teacher/total\"] polyline')?.getAttribute('points')"
MONITOR = "[...document.querySelectorAll('[role=tab]')].find(tab => tab.textContent.trim() === 'Monitor')"
AIMS = {"first page": 4.0, "curve lag": 3.0}
"""Seconds."""
READY_SECONDS = 120.0


def main(
    starts: Annotated[int, typer.Option(help="Times that the studio is started.")] = 5,
    lines: Annotated[int, typer.Option(help="Lines of metrics that the browser waits for.")] = 30,
) -> None:
    """Seconds from the command to the first page, and from a line of metrics to its point on the curve."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        with Log(runs / RUN, 0) as log:
            for step in range(3):
                log.write(step, {"teacher/total": 1.0})
            first = [_first_page(runs) for _ in range(starts)]
            lag = _lags(runs, log, lines)
    for name, seconds in (("first page", first), ("curve lag", lag)):
        print(f"{name}: {_spread(seconds)}; aim {AIMS[name]:g} s")


def _first_page(runs: Path) -> float:
    began = time.perf_counter()
    with _studio(runs):
        return time.perf_counter() - began


def _lags(runs: Path, log: Log, lines: int) -> list[float]:
    moments, lags = random.Random(0), []
    with _studio(runs) as address, Browser(runs.parent / "browser") as browser:
        browser.call("Page.navigate", url=address)
        browser.until(MONITOR)
        browser.evaluate(f"{MONITOR}.click()")
        for step in range(3, 3 + lines):
            before = browser.until(CURVE)
            time.sleep(moments.uniform(0.5, 1.5))  # at any moment between two looks of the page
            log.write(step, {"teacher/total": moments.random()})
            began = time.perf_counter()
            browser.until(f"({CURVE}) !== '{before}'")
            lags.append(time.perf_counter() - began)
    return lags


@contextmanager
def _studio(runs: Path) -> Iterator[str]:
    """`ippo studio` on a free port, from its first page on, stopped at the end."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "ippo.py", "studio", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, "IPPO_RUNS": str(runs)}) as process:
        deadline = time.monotonic() + READY_SECONDS
        try:
            while not answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("ippo: the studio did not start")
                time.sleep(0.02)
            yield address
        finally:
            process.terminate()


def answers(address: str) -> bool:
    """Whether there is a page yet."""
    try:
        return httpx.get(address, timeout=READY_SECONDS).is_success
    except httpx.TransportError:
        return False


def _spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"median {statistics.median(ordered):.2f} s ({ordered[0]:.2f} to {ordered[-1]:.2f}, N = {len(ordered)})"


if __name__ == "__main__":
    run(main)
