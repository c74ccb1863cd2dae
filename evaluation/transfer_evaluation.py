"""Images asked for by pictures, drawn by teacher and students beside baselines that draw nothing; it opens nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from base.progress import track
from evaluation.bench import Draw
from evaluation.comparison import Comparison
from evaluation.effort import Effort
from evaluation.grid import grid
from evaluation.line import Figure, measure
from evaluation.transfer_figures import TRANSFER_FIGURES
from evaluation.transfers import (
    MIXES,
    AskedByPictures,
    SourceTransfers,
    StyledReals,
    mixes,
    recoloured,
    transfers,
    variations,
)
from metrics.features import Images
from metrics.judge_network import Judge
from models.labels import Input

SHOWN = 8
"""Columns of the grids."""


def evaluate_transfers(
    judge: Judge, reals: StyledReals, draws: Mapping[str, Draw], effort: Effort,
    figures: Sequence[Figure[Any]] = TRANSFER_FIGURES,
) -> tuple[Comparison, dict[str, Image.Image]]:  # fmt: skip
    """Figures and grids; of `draws` the first is the teacher's, the others are students'."""
    varied = variations(reals.held_out.even(effort.captions))
    moved = transfers(
        (reals.combinations if len(reals.combinations) else reals.held_out).even(effort.captions), reals.train
    )
    mixed = mixes(reals.held_out.even(effort.captions))
    lines = [measure(name, source, figures) for name, source in _baselines(judge, varied, moved).items()]
    own, drawn = [], dict[str, SourceTransfers]()
    for name, draw in draws.items():
        transferred = None if moved is None else (moved, _draw(draw, moved.wishes, effort.batch, f"{name}, transfer"))
        by_mix = {
            mix: (asked := mixed(mix), _draw(draw, asked.wishes, effort.batch, f"{name}, mix {mix:g}")) for mix in MIXES
        }
        variation = varied, _draw(draw, varied.wishes, effort.batch, f"{name}, variation")
        drawn[name] = SourceTransfers(judge, variation, transferred, by_mix)
        own.append(measure(name, drawn[name], figures))
        if moved is not None:  # the same combinations in words
            words = _draw(draw, moved.right.captions, effort.batch, f"{name}, in words")
            lines.append(measure(f"{name}, in words", SourceTransfers(judge, None, (moved, words), {}), figures))
    return Comparison(figures, lines, own[0], own[1:]), _grids(varied, moved, drawn)


def _baselines(judge: Judge, varied: AskedByPictures, moved: AskedByPictures | None) -> dict[str, SourceTransfers]:
    """What needs no generator; the reals are the ceiling of the judge."""
    reals = SourceTransfers(judge, (varied, varied.content), None if moved is None else (moved, moved.right.images), {})
    if moved is None:
        return {"the pictures themselves": reals}
    images = {
        "content as it is": moved.content,
        "style picture as it is": moved.style,
        "content in the style picture's colours": recoloured(moved.content, moved.style),
    }
    others = {name: SourceTransfers(judge, None, (moved, pixels), {}) for name, pixels in images.items()}
    return {"the pictures themselves": reals, **others}


def _draw(draw: Draw, wishes: Sequence[Input], batch: int, title: str) -> Images:
    batches = [range(start, min(start + batch, len(wishes))) for start in range(0, len(wishes), batch)]
    shown = track(batches, f"drawing: {title}", console=Console(stderr=True))
    return np.concatenate([draw(wishes[seeds.start : seeds.stop], seeds) for seeds in shown])


def _grids(
    varied: AskedByPictures, moved: AskedByPictures | None, drawn: Mapping[str, SourceTransfers]
) -> dict[str, Image.Image]:
    """The first wishes of each kind above what was drawn for them."""
    sources = {name: source.variation[1][:SHOWN] for name, source in drawn.items() if source.variation}
    grids = {"variations": grid({"picture": varied.content[:SHOWN], **sources}, varied.right.captions[:SHOWN])}
    if moved is not None:
        given = {"content": moved.content[:SHOWN], "style": moved.style[:SHOWN]}
        sources = {name: source.transfer[1][:SHOWN] for name, source in drawn.items() if source.transfer}
        rows = {**given, **sources, "real": moved.right.images[:SHOWN]}
        grids["style transfer"] = grid(rows, moved.right.captions[:SHOWN])
    name, student = list(drawn.items())[-1]
    asked = next(iter(student.mixed.values()))[0]
    rows = {"picture": asked.content[:SHOWN]}
    rows |= {f"{name}, mix {mix:g}": images[:SHOWN] for mix, (_, images) in student.mixed.items()}
    grids["mix"] = grid(rows, asked.right.captions[:SHOWN])
    return grids
