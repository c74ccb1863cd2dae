"""Images asked for by pictures, drawn by teacher and students beside baselines that draw nothing; it opens nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from evaluation.comparison import Comparison
from evaluation.draw import Draw, drawn
from evaluation.effort import Effort
from evaluation.line import Figure, measure
from evaluation.pages.grid import grid
from evaluation.transfers.asked_by_pictures import MIXES, AskedByPictures, mixes, transfers, variations
from evaluation.transfers.edits import edits
from evaluation.transfers.source_transfers import SourceTransfers
from evaluation.transfers.styled_images import StyledReals
from evaluation.transfers.transfer_baselines import baselines
from evaluation.transfers.transfer_figures import TRANSFER_FIGURES
from evaluation.transfers.transfer_rivals import Rivals, drawn_by_rivals
from metrics.features import Images
from metrics.judge_network import Judge
from models.labels import Input

SHOWN = 8
"""Columns of the grids."""


def evaluate_transfers(
    judge: Judge, reals: StyledReals, draws: Mapping[str, Draw], effort: Effort, rivals: Rivals | None = None,
    figures: Sequence[Figure[Any]] = TRANSFER_FIGURES,
) -> tuple[Comparison, dict[str, Image.Image]]:  # fmt: skip
    """Figures and grids; of `draws` the first is the teacher's, the others are students'."""
    # What is asked for.
    held_out = reals.held_out.even(effort.captions)
    combinations = reals.combinations if len(reals.combinations) else reals.held_out
    varied, mixed = variations(held_out), mixes(held_out)
    moved = transfers(combinations.even(effort.captions), reals.train)
    edited = edits(held_out, reals.train)

    # What needs no generator, then every source and its rivals on the same weights.
    lines = [measure(name, source, figures) for name, source in baselines(judge, varied, moved, edited).items()]
    own, sources = [], dict[str, SourceTransfers]()
    for name, draw in draws.items():

        def images(wishes: Sequence[Input], what: str, draw: Draw = draw, name: str = name) -> Images:
            seeds = range(len(wishes))
            return np.concatenate(drawn(draw, wishes, seeds, effort.batch, f"drawing: {name}, {what}"))

        by_mix = {mix: (asked := mixed(mix), images(asked.wishes, f"mix {mix:g}")) for mix in MIXES}
        by_kind = {kind: (edit, images(edit.wishes, f"another {kind}")) for kind, edit in edited.items()}
        transferred = None if moved is None else (moved, images(moved.wishes, "transfer"))
        sources[name] = SourceTransfers(
            judge, (varied, images(varied.wishes, "variation")), transferred, by_mix, by_kind
        )
        own.append(measure(name, sources[name], figures))
        for title, source in drawn_by_rivals(judge, images, moved, edited, rivals or Rivals()).items():
            lines.append(measure(f"{name}, {title}", source, figures))
    return Comparison(figures, lines, own[0], own[1:]), _grids(varied, moved, sources)


def _grids(
    varied: AskedByPictures, moved: AskedByPictures | None, by_source: Mapping[str, SourceTransfers]
) -> dict[str, Image.Image]:
    """The first wishes of each kind above what was drawn for them."""
    sources = {name: source.variation[1][:SHOWN] for name, source in by_source.items() if source.variation}
    grids = {"variations": grid({"picture": varied.content[:SHOWN], **sources}, varied.right.captions[:SHOWN])}
    if moved is not None:
        given = {"content": moved.content[:SHOWN], "style": moved.style[:SHOWN]}
        sources = {name: source.transfer[1][:SHOWN] for name, source in by_source.items() if source.transfer}
        rows = {**given, **sources, "real": moved.right.images[:SHOWN]}
        grids["style transfer"] = grid(rows, moved.right.captions[:SHOWN])
    name, student = list(by_source.items())[-1]
    for kind, (edit, _) in student.edited.items():
        rows = {"picture": edit.given.images[:SHOWN]}
        rows |= {title: source.edited[kind][1][:SHOWN] for title, source in by_source.items()}
        asked_for = [getattr(wish, "prompt", "") for wish in edit.wishes[:SHOWN]]
        grids[f"edit {kind}"] = grid({**rows, "real": edit.right.images[:SHOWN]}, asked_for)
    asked = next(iter(student.mixed.values()))[0]
    rows = {"picture": asked.content[:SHOWN]}
    rows |= {f"{name}, mix {mix:g}": images[:SHOWN] for mix, (_, images) in student.mixed.items()}
    grids["mix"] = grid(rows, asked.right.captions[:SHOWN])
    return grids
