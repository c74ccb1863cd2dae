"""Evaluates a flow that writes: its captions beside its teacher's and beside baselines; it opens nothing itself.

Shapes: `N` pictures, `H W` pixels.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from base.files import write_text
from base.progress import track
from evaluation import json_figures, machine
from evaluation.captions import caption_subjects as sources
from evaluation.captions.caption_baselines import REFERENCES, baselines
from evaluation.captions.caption_figures import CAPTION_FIGURES, EXACT, SAID
from evaluation.captions.caption_reference import CaptionReference, SourceCaptions
from evaluation.captions.caption_subjects import Write
from evaluation.clock import Timing, singles
from evaluation.comparison import Comparison
from evaluation.draw import SEEDS_APART, Draw, in_batches
from evaluation.effort import Effort
from evaluation.line import Figure, measure
from evaluation.pages import report_tables
from evaluation.pages.grid import grid, save_png
from evaluation.pages.sheet import Sheet
from evaluation.subjects import Subjects, open_instruments, open_teacher
from metrics.caption_scores import word_f1
from metrics.features import Images

SHOWN = 8
"""Pictures of each kind that are shown with their captions."""

Written = Mapping[str, Sequence[str]]
"""Kind of picture → captions."""


@dataclass(frozen=True)
class CaptionEvaluation:
    """All that a page or a model card needs."""

    subjects: Subjects
    comparison: Comparison
    sweep: Mapping[float, float]
    """Guidance → word F1 of the teacher's captions."""
    written: Mapping[str, Written]
    """Line's name → what it wrote; of the references, what was right."""
    writers: tuple[str, ...]
    """Names of the lines that write: a captioner of another kind, teacher, students."""
    grids: dict[str, Image.Image]
    """Kind of picture → pictures above their captions."""
    timings: tuple[Timing, ...]
    facts: dict[str, str]

    def sheets(self) -> list[Sheet]:
        """The tables, the teacher's sweep last."""
        heads = ["", *(f"{guidance:g}" for guidance in self.sweep)]
        cells = ["word F1", *(f"{score:.3f}" for score in self.sweep.values())]
        return [*self.comparison.sheets(), Sheet("Teacher by guidance", heads, [cells])]

    def warnings(self) -> list[str]:
        """What should worry one, the baselines that do as well among it."""
        return [
            *self.comparison.warnings(),
            *_beaten(self.comparison, self.writers),
            *_outwritten(self.comparison, self.writers),
        ]


def evaluate(
    subjects: Subjects, effort: Effort, rounds: int = 0, figures: Sequence[Figure[Any]] = CAPTION_FIGURES
) -> CaptionEvaluation:
    """Write captions with teacher and students, measure them, time them in `rounds`. BadInput: of what is opened."""
    effort.check()

    # Open what is named.
    teacher = open_teacher(subjects)
    students, draw = sources.student_writers(subjects), sources.open_draw(subjects)
    others = sources.captioner_writers(subjects)
    instruments = open_instruments(subjects)
    reals = sources.open_captioned(subjects.data, teacher.classes)
    reference = CaptionReference(reals, instruments.judge, effort.captions)

    # The teacher at the best guidance of its sweep, the students, a captioner of another kind, and what needs no writer.
    sampler = effort.samplers[0]
    guided = {
        guidance: sources.teacher_writer(teacher, subjects.steps, guidance, sampler) for guidance in effort.guidances
    }
    sweep = {guidance: _score(reference, write, effort.sweep) for guidance, write in guided.items()}
    best = max(sweep, key=lambda guidance: sweep[guidance])
    title = f"teacher, {subjects.steps} steps, guidance {best:g}, {sampler}"
    writers = {title: guided[best], **students}
    written: dict[str, Written] = {**baselines(reference, sources.open_seer(teacher), instruments.others)}
    own = len(written) + len(others)
    writers = {**others, **writers}
    written |= {name: _write_all(reference, write, effort.batch, name) for name, write in writers.items()}

    # Measure; a caption is drawn to be read back where the student's folder draws.
    lines = []
    for name, captions in written.items():
        drawn = _draw_all(captions, draw, effort.batch) if draw else {}
        lines.append(measure(name, SourceCaptions(reference, captions, drawn), figures))
    comparison = Comparison(figures, lines[:own], lines[own], lines[own + 1 :])
    grids = {kind: _shown(reference, kind, written[next(iter(students))][kind]) for kind in reference.asked}
    first = next(iter(reference.asked.values()))
    one = first.pictures.images[:1], first.columns[:1], [0]
    timings = singles("caption", {title: partial(write, *one) for title, write in writers.items()}, rounds)
    facts = _facts(reference, subjects, teacher.task, effort)
    return CaptionEvaluation(subjects, comparison, sweep, written, tuple(writers), grids, timings, facts)


def save(evaluation: CaptionEvaluation, out: Path) -> None:
    """`captions.json`, `captions.md`, what was written as `captions.jsonl`, and the pictures, each atomically."""
    out.mkdir(parents=True, exist_ok=True)
    timings = [asdict(timing) for timing in evaluation.timings]
    figures = {"lines": evaluation.comparison.as_json(), "sweep": {f"{g:g}": f1 for g, f1 in evaluation.sweep.items()}}
    figures |= {"timings": timings, "facts": evaluation.facts}
    write_text(out / "captions.json", json_figures.text(figures, indent=1) + "\n")
    write_text(
        out / "captions.md",
        report_tables.markdown_sheets(evaluation.sheets(), evaluation.comparison.notes(), evaluation.warnings()),
    )
    rows = [
        {"kind": kind, **dict(zip(evaluation.written, texts, strict=True))}
        for kind in evaluation.grids
        for texts in zip(*(captions[kind] for captions in evaluation.written.values()), strict=True)
    ]
    write_text(out / "captions.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for kind, picture in evaluation.grids.items():
        save_png(picture, out / f"captions-{kind.replace(' ', '-')}.png")


def _write_all(reference: CaptionReference, write: Write, batch: int, title: str) -> dict[str, list[str]]:
    """Captions of every picture."""
    written = {}
    for turn, (kind, asked) in enumerate(reference.asked.items()):
        count, first = len(asked.columns), turn * SEEDS_APART
        slices = [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
        written[kind] = [
            text
            for rows in track(slices, f"writing: {title}, {kind}", console=Console(stderr=True))
            for text in write(
                asked.pictures.images[rows], asked.columns[rows], range(first + rows.start, first + rows.stop)
            )
        ]
    return written


def _draw_all(written: Written, draw: Draw, batch: int) -> dict[str, Images]:
    """An image `(N, H, W, 3)` of every caption."""
    return {kind: in_batches(draw, captions, range(len(captions)), batch) for kind, captions in written.items()}


def _score(reference: CaptionReference, write: Write, count: int) -> float:
    """Word F1 on the first pictures of the first kind."""
    kind, asked = next(iter(reference.asked.items()))
    rows = np.linspace(0, len(asked.columns) - 1, min(count, len(asked.columns))).astype(int).tolist()
    texts = write(asked.pictures.images[rows], [asked.columns[row] for row in rows], rows)
    return word_f1([reference.read(text) for text in texts], [reference.right[kind][row] for row in rows])


def _beaten(comparison: Comparison, writers: Sequence[str]) -> list[str]:
    """Kinds of picture of which a baseline names the thing as often as the first student."""
    student, sentences = comparison.students[0], []
    for kind, own in student[SAID].items():
        reading = [line for line in comparison.baselines if line.name not in (REFERENCES, *writers)]
        lines = [line for line in reading if line[SAID][kind] >= own]
        if lines:
            listed = ", ".join(f"{line.name} {line[SAID][kind]:.3f}" for line in lines)
            sentences.append(
                f"{kind}: what recognises names the thing as often as {student.name} ({own:.3f}): {listed}."
            )
    return sentences


def _outwritten(comparison: Comparison, writers: Sequence[str]) -> list[str]:
    """Kinds of picture of which a baseline that writes has more exact captions than the first student."""
    student = comparison.students[0]
    return [
        f"{kind}: {line.name} writes more exact captions ({line[EXACT][kind]:.3f}) than {student.name} ({own:.3f})."
        for line in comparison.baselines
        if line.name in writers
        for kind, own in student[EXACT].items()
        if line[EXACT][kind] > own
    ]


def _shown(reference: CaptionReference, kind: str, written: Sequence[str]) -> Image.Image:
    """The first pictures of a kind above what was written of them, and what is right where that differs."""
    asked, captions = reference.asked[kind], []
    chosen = np.linspace(0, len(written) - 1, min(SHOWN, len(written))).astype(int).tolist()
    for row in chosen:
        text, right = written[row] or "(nothing)", asked.pictures.captions[row]
        captions.append(text if reference.read(text) == reference.read(right) else f"{text} (right: {right})")
    return grid({kind: asked.pictures.images[chosen]}, captions)


def _facts(reference: CaptionReference, subjects: Subjects, flow: str, effort: Effort) -> dict[str, str]:
    counts = ", ".join(f"{len(asked.columns)} {kind}" for kind, asked in reference.asked.items())
    return {
        "date": datetime.date.today().isoformat(),
        **{name: str(value) for name, value in machine.hardware().items()},
        "versions": ", ".join(f"{name} {version}" for name, version in machine.versions().items()),
        "data": f"{subjects.data}: {len(reference.train)} training pictures",
        "N": f"{counts}; {effort.sweep} at each point of the sweep; kinds of caption take turns",
        "flow": flow,
        "student": f"{subjects.student}, backend {subjects.backend}",
        "teacher": subjects.teacher,
        "judge": subjects.judge,
        "spread": "one training of each",
    }
