"""What a report needs from a data set and a teacher: real images with captions, and callables that draw.

It knows nothing about bundles: the student is drawn by whoever deploys it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Group

from metrics import judge as judges
from metrics import tables
from metrics.captioned import Captioned
from metrics.features import Images
from metrics.grid import grid
from metrics.report import Draw, Effort, GuidedDraw, Reals, Report, RoundTrip, evaluate
from models.pipeline import Pipeline, from_uint8, to_uint8
from training.assemble import opened
from training.data.folder import ImageFolder
from training.runs import data_folder, trained

QUICK = Effort(images=100, captions=200, guidances=(1.5, 2.0), sweep=50, prompts=8, seeds=4)
"""For a first look: fewer images, two guidances."""
SHOWN = 16
"""Columns of the grid."""


@dataclass(frozen=True)
class Subject:
    """Who is judged: a student that draws, and its teacher."""

    draw: Draw
    teacher: str
    decoder: str | None
    steps: int


def judged(subject: Subject, judge: str, data: str, out: Path, quick: bool) -> Group:
    """Evaluate; `out` gets report.json, report.md and grid.png. Returns the table for the terminal."""
    pipeline = opened(subject.teacher, subject.decoder)
    real = reals(data_folder(data))
    guided = teacher(pipeline, subject.steps)
    effort = QUICK if quick else Effort()
    report = evaluate(judges.load(trained(judge)), real, guided, subject.draw, round_trip(pipeline), effort)
    out.mkdir(parents=True, exist_ok=True)
    report.save(out / "report.json")
    (out / "report.md").write_text(f"The teacher draws in {subject.steps} steps.\n\n{tables.markdown(report)}")
    _draw_grid(subject, guided, report, real, out / "grid.png")
    return tables.rich_table(report)


def _draw_grid(subject: Subject, guided: GuidedDraw, report: Report, real: Reals, file: Path) -> None:
    prompts = (
        real.train.even(SHOWN // 2, seed=2).captions + real.captions["held-out captions"].even(SHOWN // 2).captions
    )
    seeds = range(len(prompts))
    rows = {
        f"teacher, {subject.steps} steps": guided(report.guidance)(prompts, seeds),
        "student, 1 step": subject.draw(prompts, seeds),
    }
    beside = file.with_name("grid.tmp.png")
    grid(rows, prompts).save(beside)
    os.replace(beside, file)


def reals(data: str, caption: str = "text", label: str = "label", ground: str = "background") -> Reals:
    """Training split, held-out split and both sets of captions of a data set with labels.

    Distances are taken from held-out images of labels that were trained; the held-out captions are all of `test`.
    """
    train, test = (_captioned(ImageFolder(data, split), caption, label, ground) for split in ("train", "test"))
    known = np.flatnonzero(np.isin(test.labels, train.labels))
    return Reals(train, test.rows(known), {"training captions": train, "held-out captions": test})


def teacher(pipeline: Pipeline, steps: int) -> GuidedDraw:
    """A teacher at any guidance, guided DDIM of `steps` steps."""

    def at(guidance: float) -> Draw:
        return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps, guidance)

    return at


def round_trip(pipeline: Pipeline) -> RoundTrip:
    """Images through the pipeline's autoencoder and back."""

    @torch.no_grad()
    def there_and_back(images: Images) -> Images:
        parts: Sequence[Images] = np.array_split(images, -(-len(images) // 64))
        autoencoder = pipeline.autoencoder
        return np.concatenate(
            [to_uint8(autoencoder.decode(autoencoder.encode(from_uint8(part)))) for part in parts]  # type: ignore[operator]
        )

    return there_and_back


def _captioned(images: ImageFolder, caption: str, label: str, ground: str) -> Captioned:
    texts = images.captions(caption)
    grounds: list[str | None] = []
    for text, colour in zip(texts, images.column(ground), strict=True):
        grounds.append(colour if re.search(rf"\bon {re.escape(colour)}$", text) else None)
    return Captioned(images.images(), tuple(texts), np.array(images.column(label)), tuple(grounds))
