"""Attributes in an evaluation: their accuracy and the grids that show them; it opens nothing and lays out no page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from evaluation.attributes.composition import AttributedImages, Composition, attribute_prompt, compositions
from evaluation.draw import Draw, in_batches
from evaluation.effort import Effort
from evaluation.pages.grid import grid
from metrics.features import Images
from metrics.judge_network import Judge

COMBINATIONS, FEW = 16, 8
"""Columns of the grids of combinations; of the sweep and the steps."""
SWEEP = (0.0, 1.0, 2.0, 3.0)
"""Weights of the last attribute of each row, the others at 1."""
BATCH = 16
"""Images drawn at once."""


def compose(
    judge: Judge,
    held_out: tuple[AttributedImages, AttributedImages],
    others: AttributedImages,
    teacher: Callable[[int], Draw],
    draws: Mapping[str, Draw],
    effort: Effort,
) -> tuple[tuple[Composition, ...], dict[str, Image.Image]]:
    """Figures and grids.

    `held_out`: rows of known and of unknown combinations; `others`: more rows of the former, for names that few of them show;
    `teacher`: number of steps → the teacher.
    """
    seen, unseen = (images.even(effort.captions) for images in held_out)
    grids = {"every attribute alone": _alone(judge, draws), "weight sweep": _sweep(seen.even(FEW), draws)}
    if len(unseen):
        grids["unseen combinations"] = _combinations(unseen.even(COMBINATIONS), draws)
    grids["steps"] = _steps(seen.even(FEW), teacher, draws, effort.step_counts)
    return compositions(judge, seen, unseen, draws, effort.batch, seen.lacking(others, effort.each)), grids


def _alone(judge: Judge, draws: Mapping[str, Draw]) -> Image.Image:
    """Everything else is left free."""
    names = [name for slot in judge.config.slots for name in slot]
    rows = {title: _drawn(draw, names) for title, draw in draws.items()}
    return grid(rows, names)


def _combinations(shown: AttributedImages, draws: Mapping[str, Draw]) -> Image.Image:
    """The reals above those who never saw such a pair of attributes."""
    captions = [attribute_prompt(row) for row in shown.attributes]
    return grid({"real": shown.images, **{title: _drawn(draw, captions) for title, draw in draws.items()}}, captions)


def _sweep(shown: AttributedImages, draws: Mapping[str, Draw]) -> Image.Image:
    """The same noise in every row; only the weight of the last attribute changes."""
    rows = {}
    for title, draw in _teacher_and_first_student(draws).items():
        for weight in SWEEP:
            prompts = [", ".join([*row[:-1], f"{row[-1]}={weight:g}"]) for row in shown.attributes]
            rows[f"{title}, weight {weight:g}"] = _drawn(draw, prompts)
    return grid(rows, [", ".join([*row[:-1], f"{row[-1]} × weight"]) for row in shown.attributes])


def _steps(
    shown: AttributedImages, teacher: Callable[[int], Draw], draws: Mapping[str, Draw], step_counts: Sequence[int]
) -> Image.Image:
    """The teacher's steps above the student's."""
    captions = [attribute_prompt(row) for row in shown.attributes]
    title, student = list(_teacher_and_first_student(draws).items())[-1]
    rows = {f"teacher, {count} steps": _drawn(teacher(count), captions) for count in step_counts}
    return grid({**rows, title: _drawn(student, captions)}, captions)


def _teacher_and_first_student(draws: Mapping[str, Draw]) -> dict[str, Draw]:
    return dict(list(draws.items())[:2])


def _drawn(draw: Draw, prompts: Sequence[str]) -> Images:
    """With the seeds 0, 1, …"""
    return in_batches(draw, prompts, range(len(prompts)), BATCH)
