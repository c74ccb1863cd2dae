"""Attributes in an evaluation: their accuracy and the grids that show them; it opens nothing and lays out no page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from evaluation.bench import Draw
from evaluation.composition import Composition, Shown, asked, compositions
from evaluation.grid import Images, grid
from evaluation.report import Effort
from metrics.judge_network import Judge

SHOWN, FEW = 16, 8
"""Columns of the grids of combinations; of the sweep and the steps."""
SWEEP = (0.0, 1.0, 2.0, 3.0)
"""Weights of the last attribute of each row, the others at 1."""


def compose(
    judge: Judge,
    held_out: tuple[Shown, Shown],
    teacher: Callable[[int], Draw],
    drawn: Mapping[str, Draw],
    effort: Effort,
) -> tuple[tuple[Composition, ...], dict[str, Image.Image]]:
    """Figures and grids. `held_out`: rows of known and of unknown combinations; `teacher`: number of steps → the teacher."""
    seen, unseen = (part.even(effort.captions) for part in held_out)
    grids = {"every attribute alone": _alone(judge, drawn), "weight sweep": _sweep(seen.even(FEW), drawn)}
    if len(unseen):
        grids["unseen combinations"] = _combinations(unseen.even(SHOWN), drawn)
    grids["steps"] = _steps(seen.even(FEW), teacher, drawn, effort.walks)
    return compositions(judge, seen, unseen, drawn, effort.batch), grids


def _alone(judge: Judge, drawn: Mapping[str, Draw]) -> Image.Image:
    """Everything else is left free."""
    names = [name for slot in judge.config.slots for name in slot]
    rows = {title: _in_parts(draw, names) for title, draw in drawn.items()}
    return grid(rows, names)


def _combinations(shown: Shown, drawn: Mapping[str, Draw]) -> Image.Image:
    """The reals above those who never saw such a pair of attributes."""
    captions = [asked(row) for row in shown.attributes]
    return grid({"real": shown.images, **{title: _in_parts(draw, captions) for title, draw in drawn.items()}}, captions)


def _sweep(shown: Shown, drawn: Mapping[str, Draw]) -> Image.Image:
    """The same noise in every row; only the weight of the last attribute changes."""
    rows = {}
    for title, draw in _ends(drawn).items():
        for weight in SWEEP:
            wanted = [", ".join([*row[:-1], f"{row[-1]}={weight:g}"]) for row in shown.attributes]
            rows[f"{title}, weight {weight:g}"] = _in_parts(draw, wanted)
    return grid(rows, [", ".join([*row[:-1], f"{row[-1]} × weight"]) for row in shown.attributes])


def _steps(
    shown: Shown, teacher: Callable[[int], Draw], drawn: Mapping[str, Draw], walks: Sequence[int]
) -> Image.Image:
    """The teacher's steps above the student's."""
    captions = [asked(row) for row in shown.attributes]
    title, student = list(_ends(drawn).items())[-1]
    rows = {f"teacher, {count} steps": _in_parts(teacher(count), captions) for count in walks}
    return grid({**rows, title: _in_parts(student, captions)}, captions)


def _ends(drawn: Mapping[str, Draw]) -> dict[str, Draw]:
    """The teacher and the first student."""
    return dict(list(drawn.items())[:2])


def _in_parts(draw: Draw, wanted: Sequence[str], size: int = 16) -> Images:
    starts = range(0, len(wanted), size)
    return np.concatenate(
        [draw(wanted[start : start + size], range(len(wanted))[start : start + size]) for start in starts]
    )
