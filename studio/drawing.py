"""Open models and draw with them: the only part of the studio that runs networks; it knows nothing of the page.

Shapes: `N` images, `H W` pixels.
"""

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
class SamplingSettings:
    """How a teacher draws; a student has its own steps and no guidance."""

    teacher_steps: int = 50
    guidance: float = 2.0
    sampler: str = "ddim"
    student_steps: int = 1

    def description(self, student: bool) -> str:
        """What a student or a teacher uses of them, in words."""
        if student:
            return f"{self.student_steps} step{'s' if self.student_steps > 1 else ''}"
        return f"{self.teacher_steps} steps, {self.sampler}, guidance {self.guidance:g}"


@dataclass(frozen=True)
class TimedImages:
    """Images that a model drew."""

    images: NDArray[np.uint8]
    """`(N, H, W, 3)`."""
    seconds: float
    """For all images together, without opening the model."""
    description: str
    """How the model drew them."""


@dataclass(frozen=True)
class DenoisingStep:
    """One call of the denoiser, both images `(H, W, 3)`."""

    sample: NDArray[np.uint8]
    """The noisy sample that the denoiser was given."""
    x0: NDArray[np.uint8]
    """The clean sample that its output stands for."""


def open_model(name: str) -> Pipeline:
    """Open one of `library.models()`, on the GPU where there is one. BadInput: it is gone."""
    folder = library.model(name)
    return _opened(folder, (folder / "model_index.json").stat().st_mtime_ns)


def draw(name: str, input: Input, seeds: Sequence[int], settings: SamplingSettings) -> TimedImages:
    """Draw one input with each of the seeds, and take the time. BadInput: the model is gone, or does not take the input."""
    pipeline = open_model(name)
    once = SamplingSettings(teacher_steps=1, guidance=settings.guidance)
    generate(pipeline, input, seeds[:1], once)  # what only a first call costs is nobody's time
    before = time.perf_counter()
    images = generate(pipeline, input, seeds, settings)
    return TimedImages(images, time.perf_counter() - before, settings.description(pipeline.is_student))


def trace(name: str, input: Input, seed: int, settings: SamplingSettings) -> list[DenoisingStep]:
    """Draw one image and keep every step; the last one's `x0` is the image. BadInput: as `draw`."""
    steps: list[DenoisingStep] = []
    generate(
        open_model(name), input, [seed], settings, lambda _, sample, x0: steps.append(DenoisingStep(sample[0], x0[0]))
    )
    return steps


def generate(
    pipeline: Pipeline, input: Input, seeds: Sequence[int], settings: SamplingSettings, watch: Watch | None = None
) -> NDArray[np.uint8]:
    """One input with each of the seeds → images `(N, H, W, 3)`, as students or teachers draw; `watch` is shown every step."""
    inputs = [input] * len(seeds)
    if pipeline.is_student:
        return pipeline.generate(inputs, seeds, settings.student_steps, watch=watch)
    return pipeline.generate(inputs, seeds, settings.teacher_steps, settings.guidance, settings.sampler, watch)


@lru_cache(maxsize=2)
def _opened(folder: Path, written: int) -> Pipeline:
    from models import folder as folders
    from training.run.device import device

    return folders.load(folder).to(device())
