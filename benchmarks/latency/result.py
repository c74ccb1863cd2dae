"""What a run of the latency benchmark found, and what follows from it; it times nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.clock import Timing

STAGES = ("tokenise", "conditioner", "denoiser", "decoder", "encode PNG")
"""Parts of one image in the order in which they run."""
HTTP = "image over HTTP"


@dataclass(frozen=True)
class Ratio:
    """Teacher ÷ student for the whole image at one batch size."""

    batch: int
    teacher: Timing
    student: Timing
    ratio: float
    """Of the medians."""
    low: float
    high: float
    """Least and greatest ratio of a round."""


@dataclass(frozen=True)
class Overhead:
    """One image over HTTP against the same generator and encoder without it, p50 in milliseconds."""

    http: Timing
    """By the leanest client there is, so that it is the service that is measured."""
    bare: Timing
    comfortable: Timing | None = None
    """By httpx, as most Python programs would ask."""

    @property
    def milliseconds(self) -> float:
        return self.http.median - self.bare.median


@dataclass(frozen=True)
class Result:
    """One run."""

    date: str
    hardware: dict[str, Any]
    versions: dict[str, str]
    load: tuple[float, float]
    """Before and after."""
    settings: dict[str, Any]
    ceiling: dict[str, float]
    timings: tuple[Timing, ...]
    overhead: Overhead | None

    @property
    def ratios(self) -> list[Ratio]:
        return [_ratio(self.timings, batch) for batch in sorted({timing.batch for timing in self.timings})]


def is_teacher(timing: Timing) -> bool:
    return timing.by.startswith("teacher")


def pick(timings: Sequence[Timing], stage: str, batch: int) -> list[Timing]:
    """Timings of one stage and batch size, the fastest first."""
    chosen = [timing for timing in timings if (timing.stage, timing.batch) == (stage, batch)]
    return sorted(chosen, key=lambda timing: timing.median)


def _ratio(timings: Sequence[Timing], batch: int) -> Ratio:
    """Both at their best: the teacher's fastest number of threads against the student's fastest backend."""
    images = pick(timings, "image", batch)
    teacher = next(timing for timing in images if is_teacher(timing))
    student = next(timing for timing in images if not is_teacher(timing))
    by_round = [slow / fast for slow, fast in zip(teacher.rounds, student.rounds, strict=True)]
    return Ratio(batch, teacher, student, teacher.median / student.median, min(by_round), max(by_round))
