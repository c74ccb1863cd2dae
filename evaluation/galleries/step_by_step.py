"""Draws from a run or a folder in torch, and shows its denoising step by step; it knows neither bundles nor HTTP.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.errors import BadInput
from evaluation.pages.grid import grid
from models.labels import Input
from models.noise import MAX_SEED
from models.pipeline import Pipeline, Watch
from models.sampling import ANCESTRAL, SAMPLERS
from models.schedule import STUDENT_TIMESTEPS

TEACHER_STEPS = 50


@dataclass(frozen=True)
class SamplingOptions:
    """How a pipeline draws; a student takes the steps alone."""

    steps: int | None = None
    """By default 50 of a teacher, one of a student."""
    guidance: float = 1.0
    sampler: str = "ddim"


def draw(
    pipeline: Pipeline,
    inputs: Sequence[Input],
    seeds: Sequence[int],
    options: SamplingOptions,
    watch: Watch | None = None,
) -> NDArray[np.uint8]:
    """An image for each of N inputs and seeds, of a teacher or a student: `(N, H, W, 3)`. BadInput: what it does not take."""
    if options.sampler not in (*SAMPLERS, *ANCESTRAL):
        raise BadInput(f"no sampler '{options.sampler}'; accepted: {', '.join((*SAMPLERS, *ANCESTRAL))}")
    if not math.isfinite(options.guidance):
        raise BadInput(f"guidance {options.guidance} is no number; accepted: 1 and more, such as 2")
    if seeds and not 0 <= min(seeds) <= max(seeds) <= MAX_SEED:
        raise BadInput(f"seeds {min(seeds)} to {max(seeds)} are out of range; accepted: 0 to {MAX_SEED}")
    if pipeline.is_student:
        steps = 1 if options.steps is None else options.steps
        if steps not in STUDENT_TIMESTEPS:
            raise BadInput(
                f"a student does not draw in {steps} steps; accepted: {', '.join(map(str, STUDENT_TIMESTEPS))}"
            )
        return pipeline.generate(inputs, seeds, steps, watch=watch)
    steps = TEACHER_STEPS if options.steps is None else options.steps
    if not 1 <= steps <= len(pipeline.schedule):
        raise BadInput(f"a teacher does not draw in {steps} steps; accepted: 1 to {len(pipeline.schedule)}")
    return pipeline.generate(inputs, seeds, steps, options.guidance, options.sampler, watch)


def frames(
    pipeline: Pipeline, inputs: Sequence[Input], seeds: Sequence[int], options: SamplingOptions
) -> list[Image.Image]:
    """A picture for each step, all of one size: the samples above, and below them the images that are seen in them."""
    seen: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    draw(pipeline, inputs, seeds, options, lambda timestep, sample, x0: seen.append((sample, x0)))
    captions, digits = [str(input) or "anything" for input in inputs], len(str(len(seen)))
    titles = [f"step {number:0{digits}} of {len(seen)}" for number in range(1, len(seen) + 1)]
    return [
        grid({f"{title}, sample": sample, "seen in it": x0}, captions)
        for title, (sample, x0) in zip(titles, seen, strict=True)
    ]
