"""Latency of a one-step student beside its guided teacher and other ways to the same image; it knows no quality.

python -m benchmarks.latency.speedup --bundle models/pretrained/emoji/student --teacher models/pretrained/emoji/teacher
python -m benchmarks.latency.speedup --bundle digits-half --teacher digits/teacher --other digits    # two bundles
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from base.command import run
from base.shipped import SHIPPED_BUNDLE, SHIPPED_TEACHER
from benchmarks.latency.cases import (
    IMAGE,
    SPLIT,
    STOCK,
    TEACHER,
    label,
    requests,
    stock_cases,
    student_cases,
    teacher_cases,
)
from benchmarks.latency.flops import ceiling
from benchmarks.latency.http_overhead import Overhead, overhead
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, cell, publish, timing_sheet
from models import folder
from runtime import backend as backends
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator

OTHER = "bundle"


@dataclass(frozen=True)
class Ratio:
    """How many times as fast the student is as another way to the same image."""

    other: Timing
    student: Timing

    def figures(self) -> dict[str, Any]:
        """Ratio of the medians, and its least and greatest in a round."""
        rounds = [slow / fast for slow, fast in zip(self.other.rounds, self.student.rounds, strict=True)]
        who = {"batch": self.student.batch, "other": f"{self.other.stage}, {self.other.by}", "student": self.student.by}
        return {**who, "ratio": self.other.median / self.student.median, "low": min(rounds), "high": max(rounds)}


def ratios(timings: Sequence[Timing]) -> Iterator[Ratio]:
    """Each batch: the teacher at its best, diffusers and other bundles ÷ the fastest backend; split ÷ fused graphs."""
    for batch in sorted({timing.batch for timing in timings}):
        images = [one for one in timings if (one.stage, one.batch) == (IMAGE, batch)]
        images.sort(key=lambda one: one.median)
        students = [one for one in images if not one.by.startswith((TEACHER, STOCK, OTHER))]
        yield from [Ratio(one, students[0]) for one in images if one.by.startswith(TEACHER)][:1]
        yield from [Ratio(one, students[0]) for one in images if one.by.startswith((STOCK, OTHER))]
        split = {one.by: one for one in timings if (one.stage, one.batch) == (SPLIT, batch)}
        yield from (Ratio(split[one.by], one) for one in students if one.by in split)


def other_cases(bundle: Bundle, batches: Sequence[int]) -> Iterator[Case]:
    """The whole image of another bundle on its best backend."""
    generator = Generator(bundle, backends.load("auto", bundle))
    for batch in batches:
        by = f"{OTHER} {bundle.folder.name}, {label(generator)}"
        yield Case(IMAGE, by, batch, partial(generator.generate, requests(bundle.manifest, batch)))


def result(
    timings: Sequence[Timing], http: Overhead | None, gigaflop: dict[str, float], facts: dict[str, object]
) -> Result:
    """The tables of a run, its chart and its figures."""
    found, images = [ratio.figures() for ratio in ratios(timings)], [one for one in timings if one.stage == IMAGE]
    rows = [[cell(value) for value in ratio.values()] for ratio in found]
    heads = ["batch", "other", "student", "ratio of medians", "least round", "greatest"]
    sheets = [Sheet("Times as fast", heads, rows)]
    sheets.append(Sheet("GFLOP of one image", list(gigaflop), [[cell(value) for value in gigaflop.values()]]))
    if http:
        over = (http.http, http.bare, http.comfortable)
        sheets.append(timing_sheet(f"Over HTTP: {http.milliseconds:.2f} ms more", over))
    sheets.append(timing_sheet("Whole image and its stages", sorted(timings, key=lambda one: (one.stage, one.batch))))
    over_http = http and {"overhead ms": http.milliseconds, "p50 ms": http.http.median, "bare p50 ms": http.bare.median}
    figures = {"ratios": found, "ceiling": gigaflop, "http": over_http, "timings": [asdict(one) for one in timings]}
    names = dict.fromkeys(one.by for one in images)
    curves = {by: [(one.batch, one.median / one.batch) for one in images if one.by == by] for by in names}
    return Result("One step beside its teacher", sheets, figures, facts, {"ms an image over the batch": curves})


def megabytes(path: Path) -> float:
    """All files of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


def main(
    bundle: Annotated[Path, typer.Option(help="The student's bundle.")] = SHIPPED_BUNDLE,
    teacher: Annotated[Path, typer.Option(help="The teacher's diffusers folder.")] = SHIPPED_TEACHER,
    other: Annotated[list[Path] | None, typer.Option(help="Another bundle to put beside it; may be repeated.")] = None,
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    guidance: Annotated[float, typer.Option(help="Of the teacher.")] = 2.0,
    batches: Annotated[str, typer.Option(help="Batch sizes; the ratio is taken at each.")] = "1,4,8",
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 7,
    seconds: Annotated[float, typer.Option(help="For a case in a round; three calls at least.")] = 0.3,
    url: Annotated[str | None, typer.Option(help="A running service; without it one is started.")] = None,
    http: Annotated[bool, typer.Option(help="Measure the service as well.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder, by default benchmarks/results/MACHINE-DATE.")] = None,
) -> None:
    """Measure latency; the last line of stdout is one JSON document."""
    opened, others = open_bundle(bundle), [open_bundle(one) for one in other or []]
    sizes = [int(size) for size in batches.split(",")]
    over = overhead(opened, url) if http else None  # first, while no other runtime's threads are there
    guided = folder.load(teacher).to("cuda" if torch.cuda.is_available() else "cpu")
    cases = [*student_cases(opened, sizes), *stock_cases(opened, sizes)]
    cases += [case for one in others for case in other_cases(one, sizes)]
    cases += teacher_cases(guided, steps, guidance, sizes, sorted({1, torch.get_num_threads()}))
    timings = interleaved(cases, rounds, seconds)
    facts: dict[str, object] = {"model": opened.manifest.model_name, "teacher steps": steps, "guidance": guidance}
    facts |= {"rounds": rounds, "seconds a case and round": seconds}
    facts |= {f"MB of {one.manifest.model_name}": megabytes(one.folder) for one in (opened, *others)}
    gigaflop = ceiling(guided, folder.load(bundle).to(guided.device), steps, guidance)
    publish(result(timings, over, gigaflop, facts), (out or machine.results_folder()) / "latency")


if __name__ == "__main__":
    run(main)
