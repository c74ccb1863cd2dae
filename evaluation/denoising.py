"""Draws from a run or a folder in torch, and shows its denoising step by step; it knows neither bundles nor HTTP.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.errors import BadInput
from base.files import atomic_file
from evaluation.grid import grid
from models.labels import Input
from models.noise import MAX_SEED
from models.pipeline import Pipeline, Watch
from models.sampling import ANCESTRAL, SAMPLERS
from models.schedule import STUDENT_TIMESTEPS

TEACHER_STEPS = 50
MILLISECONDS, LEAST, LAST = 4000, 50, 1500
"""Of an animation: about the whole of it, the least for a step, and the last one's."""


@dataclass(frozen=True)
class Way:
    """How a pipeline draws; a student takes the steps alone."""

    steps: int | None = None
    """By default 50 of a teacher, one of a student."""
    guidance: float = 1.0
    sampler: str = "ddim"


def draw(
    pipeline: Pipeline, inputs: Sequence[Input], seeds: Sequence[int], way: Way, watch: Watch | None = None
) -> NDArray[np.uint8]:
    """Images `(N, H, W, 3)`, teacher or student. BadInput: what the pipeline does not take."""
    if way.sampler not in (*SAMPLERS, *ANCESTRAL):
        raise BadInput(f"no sampler '{way.sampler}'; accepted: {', '.join((*SAMPLERS, *ANCESTRAL))}")
    if seeds and not 0 <= min(seeds) <= max(seeds) <= MAX_SEED:
        raise BadInput(f"seeds {min(seeds)} to {max(seeds)} are out of range; accepted: 0 to {MAX_SEED}")
    if pipeline.is_student:
        steps = 1 if way.steps is None else way.steps
        if steps not in STUDENT_TIMESTEPS:
            raise BadInput(
                f"a student does not draw in {steps} steps; accepted: {', '.join(map(str, STUDENT_TIMESTEPS))}"
            )
        return pipeline.generate(inputs, seeds, steps, watch=watch)
    steps = TEACHER_STEPS if way.steps is None else way.steps
    if not 1 <= steps <= len(pipeline.schedule):
        raise BadInput(f"a teacher does not draw in {steps} steps; accepted: 1 to {len(pipeline.schedule)}")
    return pipeline.generate(inputs, seeds, steps, way.guidance, way.sampler, watch)


def frames(pipeline: Pipeline, inputs: Sequence[Input], seeds: Sequence[int], way: Way) -> list[Image.Image]:
    """A picture for each step, all of one size: the samples above, and below them the images that are seen in them."""
    seen: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    draw(pipeline, inputs, seeds, way, lambda timestep, sample, x0: seen.append((sample, x0)))
    captions, digits = [str(wanted) or "anything" for wanted in inputs], len(str(len(seen)))
    titles = [f"step {place:0{digits}} of {len(seen)}" for place in range(1, len(seen) + 1)]
    return [
        grid({f"{title}, sample": sample, "seen in it": x0}, captions)
        for title, (sample, x0) in zip(titles, seen, strict=True)
    ]


def animate(pictures: Sequence[Image.Image], out: Path, comment: str = "") -> Path:
    """Write an endless GIF that rests on its last picture, atomically. BadInput: another ending, or no such folder."""
    if out.suffix.lower() != ".gif":
        raise BadInput(f"{out}: an animation is a .gif")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    each = max(LEAST, MILLISECONDS // len(pictures))
    durations = [each] * (len(pictures) - 1) + [LAST]
    first, *others = (picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures)
    with atomic_file(out) as hidden:
        first.save(hidden, "GIF", save_all=True, append_images=others, duration=durations, loop=0, comment=comment)
    return out
