"""Pictures of a text-to-image model for its page: fixed prompts beside the teacher, seeds of one, a walk between them.

python -m evaluation.galleries.prompt_gallery configs/emoji/gallery.txt --student BUNDLE --teacher FOLDER --out docs/emoji

Nothing is chosen: what stands in the file is drawn with the seeds 0, 1, … and shown in its order. It judges nothing.
Shapes: `N` inputs, `C` channels, `h w` latent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from base.command import run
from evaluation.galleries.step_by_step import SamplingOptions, draw
from evaluation.pages.gif import animate
from evaluation.pages.grid import grid, save_png
from models import folder, noise, sampling
from models.conditioning import Conditioning
from models.labels import Input
from models.pipeline import Pipeline
from models.pixel_tensors import to_uint8
from models.schedule import STUDENT_TIMESTEPS
from runtime import prompts
from runtime.bundle import open_bundle
from training.assemble import opened

SEEDS = 24
SHOWN = (128, 128)
FRAMES = 12
"""Of the walk, from one prompt to the next."""


@torch.no_grad()
def walk(
    student: Pipeline, inputs: Sequence[Input], frames: int = FRAMES, seeds: Sequence[int] | None = None
) -> list[Image.Image]:
    """From each input to the next and back to the first: embeddings on a line, noise on a great circle.

    `seeds` of the inputs, by default 0, 1, …; between two that are equal the noise stays.
    """
    arrays, seeds = student.condition(inputs).arrays(), range(len(inputs)) if seeds is None else seeds
    start = noise.gaussian(list(seeds), 1, student.latent_shape)[0]  # (N, C, h, w)
    shares, images = np.arange(frames) / frames, []
    for here in range(len(inputs)):
        there = (here + 1) % len(inputs)
        between = {name: _line(array[here], array[there], shares) for name, array in arrays.items()}
        angles = shares * (math.pi / 2 if seeds[here] != seeds[there] else 0.0)
        noises = np.stack([math.cos(a) * start[here] + math.sin(a) * start[there] for a in angles])
        denoise = student.denoise(Conditioning(**between))
        x0 = sampling.student_loop(denoise, [torch.from_numpy(noises)], STUDENT_TIMESTEPS[1], student.schedule)
        images += list(to_uint8(student.autoencoder.decode(x0)))
    return [Image.fromarray(image).resize(SHOWN, Image.Resampling.BICUBIC) for image in images]


def _line(first: Tensor, last: Tensor, shares: NDArray[np.float64]) -> Tensor:
    """F points between two arrays of one shape: `(F, …)`."""
    line = torch.tensor(shares, dtype=torch.float32).reshape(-1, *[1] * first.ndim)
    return first * (1 - line) + last * line


def main(
    file: Annotated[Path, typer.Argument(help="Prompts, one a line.")],
    student: Annotated[Path, typer.Option(help="Bundle.")],
    teacher: Annotated[str, typer.Option(help="Run, diffusers folder or Hub name.")],
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    guidance: Annotated[float, typer.Option(help="Of the teacher.")] = 1.5,
    sampler: Annotated[str, typer.Option(help="Of the teacher.")] = "ddim",
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    legs: Annotated[int, typer.Option(help="Prompts of the walk, the first of the file.")] = 6,
) -> None:
    """Write `prompts.png`, `seeds.png` of the first prompt, and `walk.gif`; the last line is JSON."""
    inputs, pipeline = [row.input for row in prompts.read(file)], folder.load(str(open_bundle(student).folder))
    out.mkdir(parents=True, exist_ok=True)
    seeds, first = list(range(len(inputs))), inputs[0]
    rows = {
        f"teacher, {steps} steps": draw(opened(teacher), inputs, seeds, SamplingOptions(steps, guidance, sampler)),
        "student, 1 step": draw(pipeline, inputs, seeds, SamplingOptions()),
    }
    save_png(grid(rows, list(map(str, inputs))), out / "prompts.png")
    images = draw(pipeline, [first] * SEEDS, list(range(SEEDS)), SamplingOptions())
    save_png(grid({str(first): images}, [f"seed {seed}" for seed in range(SEEDS)]), out / "seeds.png")
    animate(walk(pipeline, inputs[:legs]), out / "walk.gif")
    print(json.dumps({"written": [str(out / name) for name in ("prompts.png", "seeds.png", "walk.gif")]}))


if __name__ == "__main__":
    run(main)
