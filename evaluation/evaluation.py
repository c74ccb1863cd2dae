"""Evaluates a student beside its teacher: figures, grids, timings; it opens nothing itself and lays out no page."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from base.errors import BadInput
from base.files import write_text
from evaluation import fitting, image_sets, json_figures, machine
from evaluation import subjects as sources
from evaluation.attributes import attribute_grids, slots_by_kind, typed_prompts
from evaluation.attributes.composition import Composition
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.attributes.slots_by_kind import KindLine
from evaluation.attributes.typed_prompts import TypedLine, TypedPrompt
from evaluation.bench import Bench
from evaluation.captions import caption_subjects
from evaluation.clock import Timing, singles
from evaluation.comparison import Comparison
from evaluation.draw import Draw, RoundTrip, in_batches
from evaluation.effort import Effort
from evaluation.figures import FIGURES
from evaluation.line import Figure
from evaluation.pages import report_tables
from evaluation.pages.grid import grid, save_png
from evaluation.pages.sheet import Sheet
from evaluation.report import Report
from evaluation.subjects import Subjects
from evaluation.transfers.principal_styles import by_components
from evaluation.transfers.transfer_evaluation import evaluate_transfers
from evaluation.transfers.transfer_rivals import Rivals
from models.task import task_named, task_of

CAPTIONS = 16
"""Columns of the grids of captions."""
SEEDS, FIXED = 8, 2
"""Seeds, and prompts, of the grid of seeds."""
SEARCHED, NEAR = 64, 3
"""Images drawn for the grid of neighbours, and training images shown below each."""


@dataclass(frozen=True)
class Evaluation:
    """All that a page or a model card needs."""

    subjects: Subjects
    report: Report
    grids: dict[str, Image.Image]
    """Pictures by what they show."""
    timings: tuple[Timing, ...]
    """One image, whole, by teacher and students; empty where nothing was timed."""
    facts: dict[str, str]
    """Where and with what it was measured: machine, versions, counts."""
    compositions: tuple[Composition, ...] = ()
    """Of reals, teacher and students, where the judge reads attributes and inputs are attributes too."""
    transfers: Comparison | None = None
    """Of images asked for by pictures, where the task takes them and the judge reads attributes."""
    kinds: tuple[KindLine, ...] = ()
    """Of the same, slot by slot, where the judge reads attributes and inputs are captions."""
    typed: tuple[TypedLine, ...] = ()
    """Of the same, of prompts as people type them, where some are given."""

    @property
    def sheets(self) -> list[Sheet]:
        """Tables besides the report's and those of attributes."""
        shown = [(slots_by_kind.sheet(self.kinds), self.kinds), (typed_prompts.sheet(self.typed), self.typed)]
        return [table for table, lines in shown if lines]


def evaluate(
    subjects: Subjects, effort: Effort, rounds: int = 0, figures: tuple[Figure[Any], ...] = FIGURES
) -> Evaluation:
    """Measure, draw the grids, and time single images in `rounds` rounds, none by default. BadInput: of what is opened."""
    effort.check()
    load = machine.load()

    # Open what is named, and see whether it belongs together, before any picture is looked at.
    instruments = sources.open_instruments(subjects)
    splits, pipeline = fitting.check_set(subjects, instruments.judge), sources.open_teacher(subjects)
    fitting.check_inputs(subjects, pipeline, splits)
    students = sources.student_draws(
        subjects.student, subjects.student_steps, subjects.backend, subjects.decoder,
        lambda student: fitting.check_student(subjects, student, pipeline),
    )  # fmt: skip

    # Attributes are weighed where they are the input, and read slot by slot where captions are.
    reads = bool(instruments.judge.config.slots)
    slots = reads and "weights" not in task_of(pipeline).conditioner_inputs
    if subjects.typed and not slots:
        raise BadInput("typed prompts need a judge of attributes, and a teacher whose inputs are captions")
    asked = sources.slot_judge(subjects.data, instruments.judge) if slots else None
    prompts = typed_prompts.read(subjects.typed, asked) if subjects.typed and asked else []
    bench = Bench(instruments, image_sets.open_reals(subjects.data), effort, figures)
    guided, round_trip = sources.teacher_draw(pipeline, subjects.steps), sources.round_trip(pipeline)

    # Measure; the teacher's best setting is known only then.
    report = bench.report(guided, students, round_trip, f"teacher, {subjects.steps} steps")
    best = report.best
    draws = {report.teacher.name: guided(best.guidance, best.sampler), **students}

    # Pictures of the same sources.
    grids = {**_captions(bench, draws), "seeds": _seeds(bench, draws), "neighbours": _neighbours(bench, students)}
    if report.autoencoder:
        grids["autoencoder"] = _autoencoder(bench, round_trip)
    compositions: tuple[Composition, ...] = ()
    transfers, takes_pictures = None, bool(task_named(pipeline.task).images)
    kinds, typed = _by_slots(subjects.data, asked, prompts, bench, draws, round_trip) if asked else ((), ())
    if reads and not slots:
        compositions, pictures = attribute_grids.compose(
            bench.reference.judge,
            image_sets.open_attributed(subjects.data),
            image_sets.open_more_attributed(subjects.data),
            lambda steps: sources.teacher_draw(pipeline, steps)(best.guidance, best.sampler),
            draws,
            effort,
        )
        grids |= pictures

    if reads and takes_pictures:
        styled = image_sets.open_styled(subjects.data)
        rivals = Rivals(by_components(pipeline), caption_subjects.open_caption(subjects))
        transfers, pictures = evaluate_transfers(bench.reference.judge, styled, draws, effort, rivals)
        grids |= pictures

    prompt = bench.fixed_prompts[0]
    timings = singles("image", {title: partial(draw, [prompt], [0]) for title, draw in draws.items()}, rounds)
    facts = _facts(bench, subjects, load)
    return Evaluation(subjects, report, grids, timings, facts, compositions, transfers, kinds, typed)


def save(evaluation: Evaluation, out: Path) -> None:
    """`quality.json`, `quality.md` and the grids, each atomically."""
    out.mkdir(parents=True, exist_ok=True)
    timings = [asdict(timing) for timing in evaluation.timings]
    attributes = [
        {**asdict(one), "by_name": one.names.by_name, "mean_over_names": one.names.mean}
        for one in evaluation.compositions
    ]
    slots = {
        name: [asdict(line) for line in lines]
        for name, lines in (("kinds", evaluation.kinds), ("typed", evaluation.typed))
        if lines
    }
    asked = {} if evaluation.transfers is None else {"transfers": evaluation.transfers.as_json()}
    extra = {"attributes": attributes, **asked, "timings": timings, "facts": evaluation.facts}
    figures = {**evaluation.report.as_json(), **extra, **slots}
    write_text(out / "quality.json", json_figures.text(figures, indent=1) + "\n")
    asked_for = "" if evaluation.transfers is None else "\n" + evaluation.transfers.markdown()
    shown = report_tables.markdown(evaluation.report, evaluation.compositions, evaluation.sheets)
    write_text(out / "quality.md", shown + asked_for)
    for name, picture in evaluation.grids.items():
        save_png(picture, out / f"{name.replace(' ', '-')}.png")


def _by_slots(
    data: str,
    judge: SlotJudge,
    prompts: Sequence[TypedPrompt],
    bench: Bench,
    draws: Mapping[str, Draw],
    round_trip: RoundTrip,
) -> tuple[tuple[KindLine, ...], tuple[TypedLine, ...]]:
    """What the judge sees by kind of held-out caption, and of typed prompts."""
    effort, train, held_out = bench.effort, bench.reference.reals.train, image_sets.open_kinds(data)
    kinds = slots_by_kind.by_kind(judge, train, held_out, draws, round_trip, effort.captions, effort.batch)
    return kinds, typed_prompts.measure(prompts, judge, train, draws, effort.batch) if prompts else ()


def _captions(bench: Bench, draws: Mapping[str, Draw]) -> dict[str, Image.Image]:
    """The sources above one another on each set of captions: the same prompts and the same noise."""
    grids = {}
    for name, labelled in bench.reference.reals.caption_sets.items():
        captions = labelled.even(CAPTIONS, seed=2).captions
        rows = {title: draw(captions, range(len(captions))) for title, draw in draws.items()}
        grids[name] = grid(rows, captions)
    return grids


def _seeds(bench: Bench, draws: Mapping[str, Draw]) -> Image.Image:
    """What only the seed changes."""
    prompts = [prompt for prompt in bench.fixed_prompts[:FIXED] for _ in range(SEEDS)]
    seeds = [index % SEEDS for index in range(len(prompts))]
    rows = {title: draw(prompts, seeds) for title, draw in draws.items()}
    return grid(rows, [f"{prompt}, seed {seed}" for prompt, seed in zip(prompts, seeds, strict=True)], SEEDS)


def _neighbours(bench: Bench, students: Mapping[str, Draw]) -> Image.Image:
    """The first student's images that lie nearest to a training image, and those training images."""
    title, draw = next(iter(students.items()))
    captions = bench.reference.reals.train.even(SEARCHED, seed=3).captions
    images = in_batches(draw, captions, range(len(captions)), CAPTIONS)
    indices, apart = bench.reference.neighbours(images, NEAR)
    shown = np.argsort(apart[:, 0], kind="stable")[:SEEDS]
    training = bench.reference.reals.train.images
    rows = {title: images[shown]}
    rows |= {f"training image {rank + 1}": training[indices[shown, rank]] for rank in range(indices.shape[1])}
    return grid(rows, [f"{captions[row]}, {apart[row, 0]:.2f}" for row in shown])


def _autoencoder(bench: Bench, round_trip: RoundTrip) -> Image.Image:
    """Held-out reals above what the autoencoder leaves of them."""
    shown = bench.reference.reals.held_out.even(CAPTIONS, seed=2)
    return grid({"real": shown.images, "autoencoder": round_trip(shown.images)}, shown.captions)


def _facts(bench: Bench, subjects: Subjects, load: float) -> dict[str, str]:
    reference, effort = bench.reference, bench.effort
    height, width = reference.held_out.images.shape[1:3]
    train, held_out = reference.reals.train, reference.reals.held_out
    return {
        "date": datetime.date.today().isoformat(),
        **{name: str(value) for name, value in machine.hardware().items()},
        "load before / after": f"{load} / {machine.load()}",
        "versions": ", ".join(f"{name} {version}" for name, version in machine.versions().items()),
        "data": f"{subjects.data}: {len(train)} training images and {len(held_out)} held out, {width}×{height}",
        "student": f"{subjects.student}, backend {subjects.backend}",
        "teacher": subjects.teacher + (f" with decoder {subjects.decoder}" if subjects.decoder else ""),
        "feature networks": ", ".join([f"judge ({subjects.judge})", *subjects.features]),
        "N": f"{len(reference.held_out)} for distances, {bench.sweep_n} at each point of the sweep, "
        f"{effort.captions} captions a set, {len(bench.fixed_prompts)} prompts × {effort.seeds} seeds for variety",
        "spread": "one training of each; ± as the notes say",
    }
