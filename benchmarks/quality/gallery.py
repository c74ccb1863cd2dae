"""Pictures of a text-to-image model for its page: fixed prompts beside the teacher, seeds of one, a walk between them.

python -m benchmarks.quality.gallery configs/emoji/gallery.txt --student BUNDLE --teacher FOLDER --out docs/emoji

Nothing is chosen: what stands in the file is drawn with the seeds 0, 1, … and shown in its order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.command import run
from evaluation.denoising import SamplingOptions, animate, draw
from evaluation.grid import grid
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


def beside(student: Pipeline, teacher: Pipeline, inputs: Sequence[Input], way: SamplingOptions) -> Image.Image:
    """The teacher above the student, prompt by prompt, from the same noise."""
    seeds = list(range(len(inputs)))
    rows = {
        f"teacher, {way.steps} steps": draw(teacher, inputs, seeds, way),
        "student, 1 step": draw(student, inputs, seeds, SamplingOptions()),
    }
    return grid(rows, [str(wanted) for wanted in inputs])


@torch.no_grad()
def walk(student: Pipeline, inputs: Sequence[Input], frames: int = FRAMES) -> list[Image.Image]:
    """From each input to the next and back to the first: embeddings on a line, noise on a great circle."""
    told = student.condition(inputs).arrays()
    start = noise.gaussian(list(range(len(inputs))), 1, student.latent_shape)[0]  # (N, C, h, w)
    shown = []
    for here in range(len(inputs)):
        there = (here + 1) % len(inputs)
        way = torch.arange(frames) / frames
        across = way[:, None, None]
        between = {name: array[here] * (1 - across) + array[there] * across for name, array in told.items()}
        angles = [math.pi / 2 * float(part) for part in way]
        noises = np.stack([math.cos(a) * start[here] + math.sin(a) * start[there] for a in angles])
        denoise = student.denoise(Conditioning(**between))
        x0 = sampling.student_loop(denoise, [torch.from_numpy(noises)], STUDENT_TIMESTEPS[1], student.schedule)
        shown += list(to_uint8(student.autoencoder.decode(x0)))
    return [Image.fromarray(image).resize(SHOWN, Image.Resampling.BICUBIC) for image in shown]


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
    """Write `prompts.png`, `seeds.png` of the first prompt, and `walk.gif`."""
    inputs = [row.input for row in prompts.read(file)]
    drawing = folder.load(str(open_bundle(student).folder))
    out.mkdir(parents=True, exist_ok=True)
    beside(drawing, opened(teacher), inputs, SamplingOptions(steps, guidance, sampler)).save(
        out / "prompts.png", optimize=True
    )
    seeds = list(range(SEEDS))
    images = draw(drawing, [inputs[0]] * SEEDS, seeds, SamplingOptions())
    grid({str(inputs[0]): images}, [f"seed {seed}" for seed in seeds]).save(out / "seeds.png", optimize=True)
    print(
        *(out / name for name in ("prompts.png", "seeds.png")), animate(walk(drawing, inputs[:legs]), out / "walk.gif")
    )


if __name__ == "__main__":
    run(main)
