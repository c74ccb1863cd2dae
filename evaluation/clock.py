"""Times cases in turn, so that a busy minute of the machine falls on all of them; it knows nothing of what they do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console

from base.progress import track

LEAST, MOST = 3, 200
"""Calls a case gets in one round, if it is not said otherwise."""
SECONDS = 0.3
"""For a case in a round, where single images or captions are timed."""
TIMING_HEADS = ("median ms", "p25 to p75", "p90", "least", "N")


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    stage: str
    """What is timed: a stage, or `image` for everything from the prompt to the pixels."""
    by: str
    """Who does it: a backend, or the teacher."""
    batch: int
    run: Callable[[], object] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one case over all rounds."""

    stage: str
    by: str
    batch: int
    median: float
    p25: float
    p75: float
    p90: float
    least: float
    calls: int
    rounds: tuple[float, ...]
    """Median of each round."""

    def cells(self) -> list[str]:
        """A row of a table under `TIMING_HEADS`."""
        spread = f"{self.p25:.4g} to {self.p75:.4g}"
        return [f"{self.median:.4g}", spread, f"{self.p90:.4g}", f"{self.least:.4g}", str(self.calls)]


def interleaved(cases: Sequence[Case], rounds: int, seconds: float, seed: int = 0, least: int = LEAST) -> list[Timing]:
    """Time every case in every round, in a new order each time: one call to warm up, then `least` calls and for `seconds`.

    With one call a round, for what takes seconds, only the first round is warmed up for.
    """
    order, shuffle = list(range(len(cases))), random.Random(seed)
    times: list[list[list[float]]] = [[] for _ in cases]  # case, round, call
    for case in cases:
        case.run()  # compile, allocate
    for _ in track(range(rounds), "timing, interleaved", console=Console(stderr=True)):
        shuffle.shuffle(order)
        for index in order:
            times[index].append(_calls(cases[index].run, seconds, least))
    return [_timing(case, rounds_of_case) for case, rounds_of_case in zip(cases, times, strict=True)]


def singles(stage: str, calls: Mapping[str, Callable[[], object]], rounds: int) -> tuple[Timing, ...]:
    """One image or caption, whole, by each source: its name → its call; nothing in no rounds."""
    cases = [Case(stage, name, 1, call) for name, call in calls.items()]
    return tuple(interleaved(cases, rounds, SECONDS)) if rounds else ()


def _calls(run: Callable[[], object], seconds: float, least: int) -> list[float]:
    if least > 1:
        run()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or (len(times) < MOST and time.perf_counter() - start < seconds):
        before = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - before))
    return times


def _timing(case: Case, rounds: list[list[float]]) -> Timing:
    times = np.concatenate([np.array(row) for row in rounds])
    p25, median, p75, p90 = np.percentile(times, [25, 50, 75, 90]).tolist()
    medians = tuple(float(np.median(row)) for row in rounds)
    return Timing(case.stage, case.by, case.batch, median, p25, p75, p90, float(times.min()), len(times), medians)
