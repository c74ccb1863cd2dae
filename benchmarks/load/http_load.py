"""The service's bars in one run, as ratios: overhead, throughput, tail, overload, start; load by locust.

python -m benchmarks.load.http_load BUNDLE PROMPT|LABEL [batches=1,8 ...] [--seconds 20 --clients 16 --overload 60]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.command import run
from benchmarks.latency.cases import requests
from benchmarks.latency.speedup import overhead
from benchmarks.load.footprint import memory
from benchmarks.load.served import Server, started
from runtime import backend as backends
from runtime.bundle import open_bundle
from runtime.generator import Generator

ANSWERED, REFUSED = "200", "429"
DEADLINE = 30.0
"""Seconds: the service's own default."""
BATCHES = (1, 2, 4, 8)
CROWD = 200
"""Clients that make Poisson arrivals together: each asks seldom."""
ROUNDS = 3


@dataclass(frozen=True)
class Bar:
    """A figure beside what it should be."""

    what: str
    found: float
    bar: str
    met: bool


def drive(address: str, asked: dict[str, str], clients: int, seconds: int, rate: float = 0.0) -> dict[str, Any]:
    """Closed loops of `clients`, or Poisson arrivals of `rate` a second: status → how many, and percentiles in ms."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(Path(__file__).with_name("locustfile.py"))]
    command += ["--headless", "--host", address, "--users", str(clients), "--spawn-rate", str(clients)]
    command += ["--run-time", f"{seconds}s", "--stop-timeout", "60s", "--loglevel", "ERROR"]
    pause = clients / rate if rate else 0.0
    environment = {**os.environ, "IPPO_LOAD_BODY": json.dumps(asked), "IPPO_LOAD_PAUSE": str(pause)}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 120)
    line = next((line for line in reversed(output.stdout.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"locust ended with {output.returncode}: {output.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(line)
    return found


def times(found: dict[str, Any], status: str) -> dict[str, float]:
    """Percentiles in ms of the answers of a status, or nothing but zeros."""
    percentiles: dict[str, float] = found["ms"].get(status, {"p50": 0.0, "p90": 0.0, "p99": 0.0, "most": 0.0})
    return percentiles


def offline(generator: Generator, seconds: float) -> dict[int, float]:
    """Batch → images a second of the generator alone."""
    found = {}
    for batch in BATCHES:
        wanted, count = requests(generator.bundle.manifest, batch), 0
        generator.generate(wanted)
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds / len(BATCHES):
            generator.generate(wanted)
            count += batch
        found[batch] = count / passed
    return found


def throughput(server: Server, generator: Generator, asked: dict[str, str], clients: int, seconds: int) -> list[float]:
    """Images a second by HTTP, and offline at the best batch; in turns, medians."""
    served, alone, turn = [], [], -(-seconds // ROUNDS)
    for _ in range(ROUNDS):
        rates = offline(generator, turn)
        alone.append(max(rates.values()))
        found = drive(server.address, asked, clients, turn)
        served.append(found["statuses"].get(ANSWERED, 0) / turn)
    return [statistics.median(served), statistics.median(alone)]


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """The server's memory in MB, once a second meanwhile."""
    found, over = [memory(server)], threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            found.append(memory(server))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found.append(memory(server))


def overloaded(server: Server, asked: dict[str, str], rate: float, seconds: int) -> list[Bar]:
    """More than it can do: who is accepted is answered in time, all others are refused at once."""
    with watched(server) as megabytes:
        found = drive(server.address, asked, 2 * CROWD, seconds, rate)
    statuses: dict[str, int] = found["statuses"]
    accepted, refused = times(found, ANSWERED), times(found, REFUSED)
    total = max(1, sum(statuses.values()))
    other = sum(statuses.values()) - statuses.get(ANSWERED, 0) - statuses.get(REFUSED, 0)
    grown, slowest = megabytes[-1] - megabytes[0], accepted["most"] / 1e3
    return [
        Bar("overload: answers but 200 and 429", other, "0", other == 0),
        Bar("overload: slowest accepted, s", slowest, f"<= {DEADLINE:g}", slowest <= DEADLINE),
        Bar("overload: share refused", statuses.get(REFUSED, 0) / total, "-", True),
        Bar("overload: refused p99 / accepted p50", refused["p99"] / max(accepted["p50"], 1e-9), "<= 0.5",
            refused["p99"] <= 0.5 * accepted["p50"]),
        Bar("overload: refused without Retry-After", found["without_retry_after"], "0", not found["without_retry_after"]),
        Bar("overload: memory grown, MB", grown, "<= 20", grown <= 20),
    ]  # fmt: skip


def measure(
    bundle: str, wanted: str, seconds: int, clients: int, overload: int, settings: Sequence[str] = ()
) -> list[Bar]:
    """All bars, one after the other on one server."""
    opened = open_bundle(Path(bundle))
    asked, began = dict.fromkeys(opened.manifest.inputs, wanted), time.perf_counter()
    with started(bundle, f"deadline={DEADLINE:g}", *settings) as server:
        server.client.post("/generate", json=asked).raise_for_status()
        first = time.perf_counter() - began
        bars = [Bar("exec to ready, s", server.ready, "<= 5", server.ready <= 5)]
        bars += [Bar("exec to first image, s", first, "<= 6", first <= 6)]
        spent = overhead(opened, server.address)
        bars += [Bar("HTTP over bare p50, ms", spent.milliseconds, "<= 1.5", spent.milliseconds <= 1.5)]
        generator = Generator(opened, backends.load("auto", opened))
        served, alone = throughput(server, generator, asked, clients, seconds)
        bars += [Bar(f"throughput of {clients} clients / offline", served / alone, ">= 0.85", served / alone >= 0.85)]
        half = times(drive(server.address, asked, CROWD, seconds, served / 2), ANSWERED)
        tail = half["p99"] / max(half["p50"], 1e-9)
        bars += [Bar("half load: p99 / p50", tail, "<= 4", tail <= 4)]
        bars += overloaded(server, asked, 2 * served, overload)
        held = memory(server)
        bars += [Bar("memory (PSS), MB", held, "<= 500", held <= 500)]
    return bars


def main(
    bundle: Annotated[str, typer.Argument(help="Folder of the bundle.")],
    wanted: Annotated[str, typer.Argument(help="Prompt or label.")],
    settings: Annotated[list[str] | None, typer.Argument(help="Of `ippo serve`, e.g. batches=1,8.")] = None,
    seconds: Annotated[int, typer.Option(help="Of each measurement.")] = 20,
    clients: Annotated[int, typer.Option(help="Closed loops.")] = 16,
    overload: Annotated[int, typer.Option(help="Seconds of twice the most it can do.")] = 60,
) -> None:
    """Measure the service beside its bars; the last line is JSON."""
    bars = measure(bundle, wanted, seconds, clients, overload, settings or [])
    table = Table("", "found", "bar", "")
    for bar in bars:
        table.add_row(bar.what, f"{bar.found:.3g}", bar.bar, "" if bar.met else "missed")
    Console(stderr=True).print(table)
    print(json.dumps([asdict(bar) for bar in bars]))


if __name__ == "__main__":
    run(main)
