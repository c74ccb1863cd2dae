"""The studio's first page, and how far a curve in a real browser lags behind its run; it knows nothing of what is trained.

python -m benchmarks.latency.studio_lag [--starts 5 --lines 30]        (make bench-studio)
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from base.command import run
from benchmarks.latency.browser import Browser
from benchmarks.load.served import started
from evaluation.result import Bar, bars_result, publish
from training.run.log import Log

RUN = "watched"
CURVE = "document.querySelector('#monitor-curves [aria-label=\"teacher/total\"] polyline')?.getAttribute('points')"
MONITOR = "[...document.querySelectorAll('[role=tab]')].find(tab => tab.textContent.trim() === 'Monitor')"
AIMS = {"first page": 4.0, "curve lag": 3.0}
"""Seconds."""


def main(
    starts: Annotated[int, typer.Option(help="Times that the studio is started.")] = 5,
    lines: Annotated[int, typer.Option(help="Lines of metrics that the browser waits for.")] = 30,
) -> None:
    """Seconds from the command to the first page, and from a line of metrics to its point on the curve; medians."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        with Log(runs / RUN, 0) as log:
            for step in range(3):
                log.write(step, {"teacher/total": 1.0})
            first = [_first_page(runs) for _ in range(starts)]
            lag = _lags(runs, log, lines)
    measured = {"first page": sorted(first), "curve lag": sorted(lag)}
    bars = [Bar(f"{name}, median s", statistics.median(times), most=AIMS[name]) for name, times in measured.items()]
    spread = {f"{name}, s": f"{times[0]:.2f} to {times[-1]:.2f}, N = {len(times)}" for name, times in measured.items()}
    publish(bars_result("The studio", bars, spread, {"seconds": measured}), None)


def _first_page(runs: Path) -> float:
    with started("studio", ready="/", environment={"IPPO_RUNS": str(runs)}) as server:
        return server.ready


def _lags(runs: Path, log: Log, lines: int) -> list[float]:
    moments, lags = random.Random(0), []
    with (
        started("studio", ready="/", environment={"IPPO_RUNS": str(runs)}) as server,
        Browser(runs.parent / "browser") as browser,
    ):
        browser.call("Page.navigate", url=server.address)
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


if __name__ == "__main__":
    run(main)
