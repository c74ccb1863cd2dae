"""Latency of the one-step student beside its guided teacher, interleaved in one run; it knows no quality.

python -m benchmarks.latency.speedup --bundle models/pretrained/emoji/student --teacher models/pretrained/emoji/teacher
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated

import httpx
import torch
import typer
from rich.console import Console

from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE, SHIPPED_TEACHER
from benchmarks.command import run
from benchmarks.latency import speedup_page as page
from benchmarks.latency.cases import Settings, body, ceiling, label, png, stock_cases, student_cases, teacher_cases
from benchmarks.latency.result import HTTP, Overhead, Result
from benchmarks.load.served import served
from evaluation import machine
from evaluation.clock import Case, interleaved
from models import folder
from models.labels import Input
from runtime import backend as backends
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator

HTTP_ROUNDS, HTTP_SECONDS = 10, 1.0


def overhead(bundle: Bundle, url: str | None) -> Overhead:
    """The same image over HTTP and without it, in turns; `url` of a running service, else one of our own."""
    generator, asked = Generator(bundle, backends.load("auto", bundle)), body(bundle.manifest)
    opened = httpx.Client(base_url=url, timeout=30) if url else served(str(bundle.folder.resolve()))
    with opened as client, closing(HTTPConnection(client.base_url.host, client.base_url.port)) as lean:
        cases = [
            Case(HTTP, "http.client, kept alive", 1, lambda: ask(lean, asked)),
            Case("image as PNG", label(generator), 1, lambda: png(generator)),
            Case(HTTP, "httpx, kept alive", 1, lambda: client.post("/generate", json=asked).raise_for_status().content),
        ]
        http, bare, comfortable = interleaved(cases, HTTP_ROUNDS, HTTP_SECONDS)
    return Overhead(http, bare, comfortable)


def ask(connection: HTTPConnection, asked: Mapping[str, Input]) -> bytes:
    """One PNG over a connection that stays open."""
    connection.request("POST", "/generate", json.dumps(asked), {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != HTTPStatus.OK:
        raise BadInput(f"the service answered {answer.status}: {content[:200].decode(errors='replace')}")
    return content


def measure(
    bundle: Bundle, teacher_folder: Path, settings: Settings, rounds: int, seconds: float,
    url: str | None, http: bool,
) -> Result:  # fmt: skip
    """Time everything; HTTP first, while no other runtime's threads are there."""
    before = machine.load()
    found = overhead(bundle, url) if http else None
    teacher = folder.load(teacher_folder)
    threads = sorted({1, torch.get_num_threads()})
    cases = [*student_cases(bundle, settings.batches), *stock_cases(bundle, settings.batches)]
    cases += teacher_cases(teacher, settings, threads)
    timings = interleaved(cases, rounds, seconds)
    return Result(
        date=datetime.date.today().isoformat(),
        hardware=machine.hardware(),
        versions=machine.versions(),
        load=(before, machine.load()),
        settings={
            "model": bundle.manifest.model_name,
            "teacher steps": settings.steps,
            "guidance": settings.guidance,
            "rounds": rounds,
            "seconds a case and round": seconds,
        },
        ceiling=ceiling(teacher, folder.load(bundle.folder), settings),
        timings=tuple(timings),
        overhead=found,
    )


def write(result: Result, out: Path) -> str:
    """`latency.json`, `latency.md`, `latency.png`; returns the summary as one line of JSON."""
    ratios = [
        {"batch": found.batch, "teacher ms": found.teacher.median, "student ms": found.student.median,
         "student": found.student.by, "ratio": found.ratio, "low": found.low, "high": found.high}
        for found in result.ratios
    ]  # fmt: skip
    http = result.overhead and {
        "p50 ms": result.overhead.http.median,
        "bare p50 ms": result.overhead.bare.median,
        "overhead ms": result.overhead.milliseconds,
    }
    summary = {"folder": out.name, "ratios": ratios, "http": http}
    (out / "latency.json").write_text(json.dumps({"summary": summary, **asdict(result)}, indent=1) + "\n")
    (out / "latency.md").write_text(page.markdown(result))
    page.plot(result, out / "latency.png")
    return json.dumps(summary)


def main(
    bundle: Annotated[Path, typer.Option(help="The student's bundle.")] = SHIPPED_BUNDLE,
    teacher: Annotated[Path, typer.Option(help="The teacher's diffusers folder.")] = SHIPPED_TEACHER,
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    guidance: Annotated[float, typer.Option(help="Of the teacher.")] = 2.0,
    batches: Annotated[str, typer.Option(help="Batch sizes; the ratio is taken at each.")] = "1,4,8",
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 7,
    seconds: Annotated[float, typer.Option(help="For a case in a round; three calls at least.")] = 0.3,
    url: Annotated[str | None, typer.Option(help="A running service; without it one is started.")] = None,
    http: Annotated[bool, typer.Option(help="Measure the service as well.")] = True,
    out: Annotated[Path | None, typer.Option(help="By default results/MACHINE-DATE beside this file.")] = None,
) -> None:
    """Measure latency; the last line of stdout is one JSON document."""
    results = out or machine.results_folder()
    settings = Settings(steps, guidance, tuple(int(size) for size in batches.split(",")))
    result = measure(open_bundle(bundle), teacher, settings, rounds, seconds, url, http)
    results.mkdir(parents=True, exist_ok=True)
    summary = write(result, results)
    Console(stderr=True).print(f"written: {results}")
    print(summary)


if __name__ == "__main__":
    run(main)
