"""Evaluates a student beside its teacher: figures, grids, timings; it opens nothing itself and lays out no page."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from base.errors import BadInput
from evaluation import attribute_grids, machine, report_tables
from evaluation import subjects as sources
from evaluation.bench import Bench, Draw, RoundTrip
from evaluation.clock import Case, Timing, interleaved
from evaluation.composition import Composition
from evaluation.grid import grid
from evaluation.report import Effort, Report
from evaluation.subjects import Subjects
from metrics import distances
from models.sampling import SAMPLERS

SHOWN = 16
"""Columns of the grids of captions."""
SEEDS, FIXED = 8, 2
"""Seeds, and prompts, of the grid of seeds."""
SEARCHED, NEAR = 64, 3
"""Images drawn for the grid of neighbours, and training images shown below each."""
SECONDS = 0.3
"""For a case in a round of timing."""


@dataclass(frozen=True)
class Evaluation:
    """All that a page or a model card needs."""

    subjects: Subjects
    report: Report
    grids: dict[str, Image.Image]
    """By what they show."""
    timings: tuple[Timing, ...]
    """One image, whole, by teacher and students; empty where nothing was timed."""
    facts: dict[str, str]
    """What was measured where."""
    attributes: tuple[Composition, ...] = ()
    """Of reals, teacher and students, where the judge reads attributes."""


def evaluate(subjects: Subjects, effort: Effort, rounds: int = 0) -> Evaluation:
    """Measure, draw the grids, and time single images in `rounds` rounds, none by default."""
    _check(effort)
    load = machine.load()
    reals, pipeline = sources.open_reals(subjects.data), sources.open_teacher(subjects)
    students = sources.student_draws(subjects.student, subjects.student_steps, subjects.backend, subjects.decoder)
    bench = Bench(sources.open_instruments(subjects), reals, effort)
    guided, back = sources.teacher_draw(pipeline, subjects.steps), sources.round_trip(pipeline)
    report = bench.report(guided, students, back, f"teacher, {subjects.steps} steps")
    drawn = {report.teacher.name: guided(report.best.guidance, report.best.sampler), **students}
    grids = {**_captions(bench, drawn), "seeds": _seeds(bench, drawn), "neighbours": _neighbours(bench, students)}
    if report.autoencoder:
        grids["autoencoder"] = _autoencoder(bench, back)
    attributes: tuple[Composition, ...] = ()
    if bench.judge.config.slots:
        held_out, best = sources.open_shown(subjects.data), report.best
        attributes, shown = attribute_grids.compose(
            bench.judge,
            held_out,
            lambda steps: sources.teacher_draw(pipeline, steps)(best.guidance, best.sampler),
            drawn,
            effort,
        )
        grids |= shown
    timings = _timings(drawn, bench.fixed[0], rounds) if rounds else []
    return Evaluation(subjects, report, grids, tuple(timings), _facts(bench, subjects, load), attributes)


def save(evaluation: Evaluation, out: Path) -> None:
    """`quality.json`, `quality.md` and the grids, each atomically."""
    out.mkdir(parents=True, exist_ok=True)
    timings = [asdict(timing) for timing in evaluation.timings]
    attributes = [asdict(found) for found in evaluation.attributes]
    figures = {**evaluation.report.figures(), "attributes": attributes, "timings": timings, "facts": evaluation.facts}
    write(out / "quality.json", json.dumps(figures, indent=1) + "\n")
    write(out / "quality.md", report_tables.markdown(evaluation.report, evaluation.attributes))
    for name, picture in evaluation.grids.items():
        file = out / f"{name.replace(' ', '-')}.png"
        beside = file.with_name(file.name + ".tmp")
        picture.save(beside, "PNG", optimize=True)
        os.replace(beside, file)


def write(file: Path, text: str) -> None:
    """A text file, atomically."""
    beside = file.with_name(file.name + ".tmp")
    beside.write_text(text)
    os.replace(beside, file)


def effort_of(images: int, captions: int, sweep: int, guidances: str, samplers: str) -> Effort:
    """An effort from words; BadInput: the guidances are no numbers."""
    try:
        weights = tuple(float(weight) for weight in guidances.split(","))
    except ValueError as error:
        raise BadInput(f"guidances '{guidances}' are not numbers with commas between, as in 1,1.5,2") from error
    return Effort(images, captions, weights, tuple(samplers.split(",")), sweep)


def _check(effort: Effort) -> None:
    least = distances.NEIGHBOURS + 1
    if min(effort.images, effort.sweep, effort.captions) < least:
        raise BadInput(f"too few images to measure anything: images, captions and sweep must be at least {least}")
    if unknown := [name for name in effort.samplers if name not in SAMPLERS]:
        raise BadInput(f"no sampler '{unknown[0]}'; accepted: {', '.join(SAMPLERS)}")


def _captions(bench: Bench, drawn: Mapping[str, Draw]) -> dict[str, Image.Image]:
    """The sources above one another on each set of captions: the same prompts and the same noise."""
    grids = {}
    for name, captioned in bench.reals.captions.items():
        captions = captioned.even(SHOWN, seed=2).captions
        rows = {title: draw(captions, range(len(captions))) for title, draw in drawn.items()}
        grids[name] = grid(rows, captions)
    return grids


def _seeds(bench: Bench, drawn: Mapping[str, Draw]) -> Image.Image:
    """What only the seed changes."""
    prompts = [prompt for prompt in bench.fixed[:FIXED] for _ in range(SEEDS)]
    seeds = [place % SEEDS for place in range(len(prompts))]
    rows = {title: draw(prompts, seeds) for title, draw in drawn.items()}
    return grid(rows, [f"{prompt}, seed {seed}" for prompt, seed in zip(prompts, seeds, strict=True)], SEEDS)


def _neighbours(bench: Bench, students: Mapping[str, Draw]) -> Image.Image:
    """The first student's images that lie nearest to a training image, and those training images."""
    title, draw = next(iter(students.items()))
    captions = bench.reals.train.even(SEARCHED, seed=3).captions
    parts = [range(len(captions))[start : start + SHOWN] for start in range(0, len(captions), SHOWN)]
    images = np.concatenate([draw([captions[seed] for seed in part], part) for part in parts])
    places, apart = bench.neighbours(images, NEAR)
    shown = np.argsort(apart[:, 0], kind="stable")[:SEEDS]
    training = bench.reals.train.images
    rows = {title: images[shown]}
    rows |= {f"training image {rank + 1}": training[places[shown, rank]] for rank in range(places.shape[1])}
    return grid(rows, [f"{captions[place]}, {apart[place, 0]:.2f}" for place in shown])


def _autoencoder(bench: Bench, back: RoundTrip) -> Image.Image:
    """Held-out reals above what the autoencoder leaves of them."""
    shown = bench.reals.held_out.even(SHOWN, seed=2)
    return grid({"real": shown.images, "autoencoder": back(shown.images)}, shown.captions)


def _timings(drawn: Mapping[str, Draw], prompt: str, rounds: int) -> list[Timing]:
    def case(title: str, draw: Draw) -> Case:
        return Case("image", title, 1, lambda: draw([prompt], [0]))

    return interleaved([case(title, draw) for title, draw in drawn.items()], rounds, SECONDS)


def _facts(bench: Bench, subjects: Subjects, load: float) -> dict[str, str]:
    height, width = bench.held_out.images.shape[1:3]
    train, held_out, effort = bench.reals.train, bench.reals.held_out, bench.effort
    return {
        "date": datetime.date.today().isoformat(),
        **{name: str(value) for name, value in machine.hardware().items()},
        "load before / after": f"{load} / {machine.load()}",
        "versions": ", ".join(f"{name} {version}" for name, version in machine.versions().items()),
        "data": f"{subjects.data}: {len(train)} training images and {len(held_out)} held out, {width}×{height}",
        "student": f"{subjects.student}, backend {subjects.backend}",
        "teacher": subjects.teacher + (f" with decoder {subjects.decoder}" if subjects.decoder else ""),
        "feature networks": ", ".join([f"judge ({subjects.judge})", *subjects.features]),
        "N": f"{len(bench.held_out)} for distances, {bench.sweep_n} at each point of the sweep, "
        f"{effort.captions} captions a set, {len(bench.fixed)} prompts × {effort.seeds} seeds for variety",
        "spread": "one training of each; ± as the notes say",
    }
