"""Quality of a student beside its teacher: opens what the report is given; every figure comes from `metrics`.

python -m benchmarks.quality --data emoji-mini --judge RUN --teacher RUN --student BUNDLE --out FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from export import backend as backends
from export.bundle import MANIFEST, open_bundle
from export.generator import Generator, Request
from metrics import judge as judges
from metrics import tables
from metrics.captioned import Captioned, join
from metrics.grid import grid
from metrics.report import Draw, Effort, GuidedDraw, Reals, RoundTrip, evaluate
from models.errors import BadInput
from models.pipeline import Pipeline, from_uint8, to_uint8
from training.assemble import opened
from training.data.folder import ImageFolder
from training.runs import data_folder, trained

KNOWN_LABELS = ("seen", "unseen-background")
"""Kinds of held-out images whose labels were trained on: distances are taken from these."""
SHOWN = 16
"""Pictures in a row of grids."""


def open_reals(data: str) -> Reals:
    """The image set `data`: distances from held-out images of known labels, held-out captions from `test`."""
    train, validation, test = (
        _captioned(ImageFolder(data_folder(data), split)) for split in ("train", "validation", "test")
    )
    kinds = _column(ImageFolder(data_folder(data), "test"), "kind")
    known = np.flatnonzero([kind is None or kind in KNOWN_LABELS for kind in kinds])
    held_out = join([validation, test.rows(known)])
    return Reals(train, held_out, {"training captions": train, "held-out captions": test})


def pipeline_draw(pipeline: Pipeline, guidance: float | None = None, steps: int = 1) -> Draw:
    """A pipeline as the report wants it: the student's loop, or with a guidance weight DDIM."""
    return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps, guidance)


def teacher_draw(pipeline: Pipeline, steps: int) -> GuidedDraw:
    """Guidance → the teacher with it."""
    return lambda guidance: pipeline_draw(pipeline, guidance, steps)


def student_draw(student: str, backend: str = "auto") -> Draw:
    """One step of a bundle on a backend, or of a run or diffusers folder in torch."""
    if not (Path(student) / MANIFEST).is_file():
        return pipeline_draw(opened(student))
    bundle = open_bundle(student)
    generator = Generator(bundle, backends.load(backend, bundle))

    def draw(prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        return generator.generate([Request(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)])

    return draw


def round_trip(pipeline: Pipeline, batch: int = 50) -> RoundTrip:
    """Images through the pipeline's autoencoder and back."""
    import torch

    @torch.no_grad()
    def back(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        parts = [from_uint8(images[start : start + batch]) for start in range(0, len(images), batch)]
        autoencoder: Any = pipeline.autoencoder
        return np.concatenate([to_uint8(autoencoder.decode(autoencoder.encode(part))) for part in parts])

    return back


def draw_grids(reals: Reals, sources: Mapping[str, Draw], back: RoundTrip, out: Path) -> None:
    """The sources above one another on each set of captions; held-out reals above what the autoencoder leaves of them."""
    for name, captioned in reals.captions.items():
        captions = captioned.even(SHOWN, seed=2).captions
        rows = {title: draw(captions, range(len(captions))) for title, draw in sources.items()}
        grid(rows, captions).save(out / f"{name.replace(' ', '-')}.png", optimize=True)
    shown = reals.held_out.even(SHOWN, seed=2)
    grid({"real": shown.images, "autoencoder": back(shown.images)}, shown.captions).save(
        out / "autoencoder.png", optimize=True
    )


def main(
    data: Annotated[str, typer.Option(help="Image set with labels.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    teacher: Annotated[str, typer.Option(help="Run, diffusers folder or Hub name.")],
    student: Annotated[str, typer.Option(help="Bundle, run or diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    decoder: Annotated[str | None, typer.Option(help="Run of a sharpened decoder for the teacher.")] = None,
    backend: Annotated[str, typer.Option(help="Of a bundle.")] = "auto",
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    images: Annotated[int, typer.Option(help="N of the distances.")] = 400,
    captions: Annotated[int, typer.Option(help="Captions drawn of each identified set.")] = 200,
    sweep: Annotated[int, typer.Option(help="Images drawn for each guidance of the sweep.")] = 100,
    guidances: Annotated[str, typer.Option(help="The sweep.")] = "1,1.25,1.5,2,3",
) -> None:
    """Measure quality and print the table; the last line of stdout is one JSON document."""
    reals, pipeline = open_reals(data), opened(teacher, decoder)
    guided, draw = teacher_draw(pipeline, steps), student_draw(student, backend)
    effort = Effort(images, captions, tuple(float(weight) for weight in guidances.split(",")), sweep)
    name, back = f"teacher, {steps} steps", round_trip(pipeline)
    report = evaluate(judges.load(trained(judge)), reals, guided, draw, back, effort, name)
    out.mkdir(parents=True, exist_ok=True)
    report.save(out / "quality.json")
    (out / "quality.md").write_text(tables.markdown(report))
    best, one_step = report.lines[1].name, report.lines[2].name
    draw_grids(reals, {best: guided(report.guidance), one_step: draw}, back, out)
    Console(stderr=True).print(tables.rich_table(report))
    print(json.dumps(json.loads((out / "quality.json").read_text())))


def _captioned(split: ImageFolder) -> Captioned:
    captions = split.captions()
    grounds = tuple(
        ground if ground and caption.endswith(f" on {ground}") else None
        for caption, ground in zip(captions, _column(split, "background"), strict=True)
    )
    return Captioned(split.images(), tuple(captions), np.array(split.column("label"), np.int64), grounds)


def _column(split: ImageFolder, name: str) -> list[Any]:
    try:
        return split.column(name)
    except BadInput:
        return [None] * len(split)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (BadInput, ValueError) as error:
        print(f"quality: {error}", file=sys.stderr)
        sys.exit(2)
