"""pytest-benchmark over the same cases as `benchmarks.latency`: for one's own comparisons between two commits.

IPPO_BUNDLE=… IPPO_TEACHER=… pytest benchmarks --benchmark-only --benchmark-autosave
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import Settings, student_cases, teacher_cases
from benchmarks.latency import SHIPPED
from evaluation.clock import Case
from models import folder
from runtime import backend as backends
from runtime.bundle import open_bundle

BATCHES = (1, 4, 8)
STAGES = ("tokenise", "conditioner", "denoiser", "decoder", "encode PNG", "image", "image as PNG")
BUNDLE = Path(os.environ.get("IPPO_BUNDLE", SHIPPED / "student"))
TEACHER = Path(os.environ.get("IPPO_TEACHER", SHIPPED / "teacher"))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    if not BUNDLE.is_dir():
        pytest.skip(f"no bundle at {BUNDLE}")
    return list(student_cases(open_bundle(BUNDLE), BATCHES))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("backend", ["tokenizers", "Pillow", *backends.NEEDS])
@pytest.mark.parametrize("stage", STAGES)
def test_student(benchmark: BenchmarkFixture, cases: list[Case], stage: str, backend: str, batch: int) -> None:
    found = [case for case in cases if (case.stage, case.by.split()[0], case.batch) == (stage, backend, batch)]
    if not found:
        pytest.skip(f"{backend} does not {stage}")
    benchmark.group = f"{stage}, batch {batch}"
    benchmark(found[0].run)


@pytest.mark.parametrize("batch", BATCHES)
def test_teacher(benchmark: BenchmarkFixture, batch: int) -> None:
    if not TEACHER.is_dir():
        pytest.skip(f"no teacher at {TEACHER}")
    settings = Settings(steps=50, guidance=2.0, batches=(batch,))
    (case,) = teacher_cases(folder.load(TEACHER), settings, [1])
    benchmark.group = f"image, batch {batch}"
    benchmark.pedantic(case.run, rounds=3, warmup_rounds=1)
