"""The service beside its bars, as ratios: start, overhead, throughput, processor time, tail, overload, memory.

Closed loops are wrk's; Poisson arrivals, which wrk cannot make, are locust's, and take a core themselves.

python -m benchmarks.load.http_load BUNDLE PROMPT|LABEL [batches=1,8 ...] [--seconds 20 --clients 16 --overload 120]
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from base.command import run
from benchmarks.child import JsonObject, last_object
from benchmarks.latency.cases import encoded, made_by, png, requests
from benchmarks.latency.http_overhead import overhead
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.served import Server, started
from evaluation.result import Bar, bars_result, publish
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
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def arrivals(address: str, body: dict[str, str], clients: int, seconds: int, rate: float) -> JsonObject:
    """Poisson arrivals of `rate` a second: status → how many, and percentiles in ms."""
    options = ["--locustfile", str(LOCUSTFILE), "--headless", "--host", address, "--loglevel", "ERROR"]
    options += ["--users", str(clients), "--spawn-rate", str(clients)]
    options += ["--run-time", f"{seconds}s", "--stop-timeout", "60s"]
    environment = {"IPPO_LOAD_BODY": json.dumps(body), "IPPO_LOAD_PAUSE": str(clients / rate)}
    return last_object("locust", *options, environment=environment)


def percentiles(load: JsonObject, status: str) -> dict[str, float]:
    """Percentiles in ms of the answers of a status; zeros where there were none."""
    return dict(load["ms"].get(status, {"p50": 0.0, "p90": 0.0, "p99": 0.0, "most": 0.0}))


@dataclass(frozen=True)
class Alone:
    """The generator without HTTP, in batches of one size."""

    rate: float
    """Images a second, not encoded."""
    processor: float
    """Seconds of processor time an image, encoded as PNG."""


def alone(generator: Generator, batch: int, seconds: float) -> Alone:
    """Draw and encode for so long, after one batch that compiles."""
    png(generator, batch)
    requested, origin = requests(generator.bundle.manifest, batch), made_by(generator)
    count, drawing, began, used = 0, 0.0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        images = generator.generate(requested)
        drawing += time.perf_counter() - start
        encoded(images, origin)
        count += batch
    return Alone(count / drawing, (time.process_time() - used) / count)


def closed_loops(
    server: Server, generator: Generator, body: dict[str, str], clients: int, seconds: int
) -> tuple[float, list[Bar]]:
    """Images a second by HTTP, and it beside the generator alone at its best batch: in turns, medians."""
    over_http, at_best, costs, costs_alone, wrk, turn = [], [], [], [], [], -(-seconds // ROUNDS)
    for _ in range(ROUNDS):
        by_batch = [alone(generator, batch, turn / len(BATCHES)) for batch in BATCHES]
        best = max(by_batch, key=lambda one: one.rate)
        at_best.append(best.rate)
        costs_alone.append(best.processor)
        before = server.processor
        load = closed_loop(server.address, body, clients, turn)
        pictures = max(1, load.pictures)
        over_http.append(pictures / load.seconds)
        costs.append((server.processor - before) / pictures)
        wrk.append(load.processor / pictures)
    rate, cost, cost_alone = (statistics.median(row) for row in (over_http, costs, costs_alone))
    return rate, [
        Bar(f"throughput of {clients} clients / offline", rate / statistics.median(at_best), least=0.8),
        Bar("processor time an image over HTTP / drawing and PNG alone", cost / cost_alone, most=1.25),
        Bar("processor time an image: over HTTP, ms", 1e3 * cost),
        Bar("processor time an image: drawing and PNG alone, ms", 1e3 * cost_alone),
        Bar("processor time an image: wrk, ms", 1e3 * statistics.median(wrk)),
    ]


def overloaded(server: Server, body: dict[str, str], rate: float, seconds: int) -> list[Bar]:
    """More than it can do: who is accepted is answered in time, all others are refused at once."""
    before = server.pss_mb
    load = arrivals(server.address, body, 2 * CROWD, seconds, rate)
    statuses: dict[str, int] = load["statuses"]
    accepted, refused = percentiles(load, ANSWERED), percentiles(load, REFUSED)
    total = sum(statuses.values())
    other = total - statuses.get(ANSWERED, 0) - statuses.get(REFUSED, 0)
    return [
        Bar("overload: answers but 200 and 429", other, most=0),
        Bar("overload: slowest accepted, s", accepted["most"] / 1e3, most=DEADLINE),
        Bar("overload: share refused", statuses.get(REFUSED, 0) / max(1, total)),
        Bar("overload: refused p99 / accepted p50", refused["p99"] / max(accepted["p50"], 1e-9), most=0.5),
        Bar("overload: refused without Retry-After", load["without_retry_after"], most=0),
        Bar("overload: memory grown, MB", server.pss_mb - before, most=10),
    ]


def measure(
    bundle: str, text: str, seconds: int, clients: int, overload: int, settings: Sequence[str] = ()
) -> list[Bar]:
    """All bars, one after the other on one server."""
    opened = open_bundle(Path(bundle))
    body, began = dict.fromkeys(opened.manifest.inputs, text), time.perf_counter()
    with started("serve", "--bundle", bundle, f"deadline={DEADLINE:g}", *settings) as server:
        server.client.post("/generate", json=body).raise_for_status()
        first = time.perf_counter() - began
        bars = [Bar("exec to ready, s", server.ready, most=5), Bar("exec to first image, s", first, most=6)]
        bars += [Bar("HTTP over bare p50, ms", overhead(opened, server.address).milliseconds, most=1.5)]
        generator = Generator(opened, backends.load("auto", opened))
        rate, beside = closed_loops(server, generator, body, clients, seconds)
        bars += beside
        half = percentiles(arrivals(server.address, body, CROWD, seconds, rate / 2), ANSWERED)
        bars += [Bar("half load: p99 / p50", half["p99"] / max(half["p50"], 1e-9), most=2.5)]
        bars += overloaded(server, body, 2 * rate, overload)
        return [*bars, Bar("memory (PSS), MB", server.pss_mb, most=500)]


def main(
    bundle: Annotated[str, typer.Argument(help="Folder of the bundle.")],
    text: Annotated[str, typer.Argument(help="Prompt or label.")],
    settings: Annotated[list[str] | None, typer.Argument(help="Of `ippo serve`, e.g. batches=1,8.")] = None,
    seconds: Annotated[int, typer.Option(help="Of each measurement.")] = 20,
    clients: Annotated[int, typer.Option(help="Closed loops.")] = 16,
    overload: Annotated[int, typer.Option(help="Seconds of twice the most it can do.")] = 120,
) -> None:
    """Measure the service beside its bars; the last line is JSON."""
    bars = measure(bundle, text, seconds, clients, overload, settings or [])
    publish(bars_result("The service under load", bars), None)


if __name__ == "__main__":
    run(main)
