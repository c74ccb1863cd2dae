"""Open models and draw with them: the only part of the studio that runs networks; it knows nothing of the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.labels import Input
from studio import library

if TYPE_CHECKING:
    from models.pipeline import Pipeline, Watch


@dataclass(frozen=True)
class Way:
    """How a teacher draws; a student has its own steps and no guidance."""

    teacher_steps: int = 50
    guidance: float = 2.0
    sampler: str = "ddim"
    student_steps: int = 1

    def told(self, student: bool) -> str:
        """In words."""
        if student:
            return f"{self.student_steps} step{'s'[: self.student_steps > 1]}"
        return f"{self.teacher_steps} steps, {self.sampler}, guidance {self.guidance:g}"


@dataclass(frozen=True)
class Drawn:
    """What a model drew."""

    images: NDArray[np.uint8]
    """`(N, H, W, 3)`."""
    seconds: float
    """Of all images together, without opening the model."""
    told: str
    """How it drew."""


@dataclass(frozen=True)
class Step:
    """One step of a drawing, both images `(H, W, 3)`."""

    seen: NDArray[np.uint8]
    """The noisy sample that the denoiser was given."""
    expected: NDArray[np.uint8]
    """The clean sample that its output stands for."""


def opened(name: str) -> Pipeline:
    """One of `library.models()`, on the GPU where there is one. BadInput: it is gone."""
    folder = library.model(name)
    return _opened(folder, (folder / "model_index.json").stat().st_mtime_ns)


def draw(name: str, wanted: Input, seeds: Sequence[int], way: Way) -> Drawn:
    """Draw one input under several seeds."""
    pipeline = opened(name)
    generate(pipeline, wanted, seeds[:1], Way(1, way.guidance))  # what only a first call costs is nobody's time
    before = time.perf_counter()
    images = generate(pipeline, wanted, seeds, way)
    return Drawn(images, time.perf_counter() - before, way.told(pipeline.is_student))


def trace(name: str, wanted: Input, seed: int, way: Way) -> list[Step]:
    """Draw one image and keep every step; the last one's clean image is what was drawn."""
    steps: list[Step] = []
    generate(opened(name), wanted, [seed], way, lambda _, seen, expected: steps.append(Step(seen[0], expected[0])))
    return steps


def generate(
    pipeline: Pipeline, wanted: Input, seeds: Sequence[int], way: Way, watch: Watch | None = None
) -> NDArray[np.uint8]:
    """Images `(N, H, W, 3)`, as students or teachers draw; `watch` is shown every step."""
    inputs = [wanted] * len(seeds)
    if pipeline.is_student:
        return pipeline.generate(inputs, seeds, way.student_steps, watch=watch)
    return pipeline.generate(inputs, seeds, way.teacher_steps, way.guidance, way.sampler, watch)


@lru_cache(maxsize=2)
def _opened(folder: Path, written: int) -> Pipeline:
    from models import folder as folders
    from training.run.device import device

    return folders.load(folder).to(device())
