"""The figures of images asked for by pictures, each declared once: variation, style transfer, mix; it draws no images.

Shapes: `N` images, `H W` pixels, `D` width of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.line import HIGHER, Column, Figure, Line, share
from evaluation.transfers.asked_by_pictures import MIXES, AskedByPictures
from evaluation.transfers.edits import GROUND, STYLE
from evaluation.transfers.source_transfers import SourceTransfers
from metrics import features
from metrics.attribute_accuracy import shows
from metrics.features import Images
from metrics.proportions import below

DUE, COPY = 0.95, 0.5
"""Share of the teacher's figure that a student should keep; of a real picture's distance below which a variation is a copy."""


@dataclass(frozen=True)
class KeptShares:
    """Shares of images in which the judge sees the thing that was asked for, the style, and both."""

    thing: float
    style: float
    both: float
    n: int


@dataclass(frozen=True)
class Varied:
    """What a variation keeps of its picture, and how far it lies from it."""

    kept: KeptShares
    apart: float
    """Median distance to the picture ÷ that of two held-out pictures of one style, by the judge: 0 is a copy."""


@dataclass(frozen=True)
class Curve:
    """Over the share of the prompt: how often its thing is seen, and how often the picture's."""

    prompt: dict[float, float]
    picture: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Edited:
    """Shares of edited pictures in which the judge sees what was asked for, what was to stay, and both."""

    asked: float
    kept: float
    both: float
    n: int


def _kept(source: SourceTransfers, asked: AskedByPictures, images: Images) -> KeptShares:
    thing, style = (shows(source.judge, images, names) for names in (asked.right.things, asked.right.styles))
    return KeptShares(float(thing.mean()), float(style.mean()), float((thing & style).mean()), len(images))


def _varied(source: SourceTransfers) -> Varied | None:
    if source.variation is None:
        return None
    asked, images = source.variation
    own, pictures = (features.embeddings(source.judge, one) for one in (images, asked.content))  # (N, D)
    styles = np.array(asked.right.styles)
    others = [np.flatnonzero((styles == style) & (np.arange(len(styles)) != row)) for row, style in enumerate(styles)]
    usual = [
        np.linalg.norm(pictures[row] - pictures[rows], axis=1).mean() for row, rows in enumerate(others) if len(rows)
    ]
    apart = np.median(np.linalg.norm(own - pictures, axis=1)) / np.median(usual) if usual else float("nan")
    return Varied(_kept(source, asked, images), float(apart))


def _variation_cells(own: Varied | None, teacher: Varied | None) -> dict[Column, str]:
    if own is None:
        return {}
    return {**_cells(own.kept, None), Column("distance to the picture"): share(own.apart)}


def _transferred(source: SourceTransfers) -> KeptShares | None:
    return None if source.transfer is None else _kept(source, *source.transfer)


def _cells(own: KeptShares | None, teacher: KeptShares | None) -> dict[Column, str]:
    if own is None:
        return {}
    shares = {"thing": own.thing, "style": own.style, "both": own.both}
    return {Column(name, HIGHER): share(value) for name, value in shares.items()}


def _edited(source: SourceTransfers) -> dict[str, Edited]:
    """Kind of edit → its shares."""
    found = {}
    for kind, (edit, images) in source.edited.items():
        slots = {STYLE: edit.right.styles, GROUND: edit.right.grounds}
        asked = shows(source.judge, images, slots.pop(kind))
        kept = shows(source.judge, images, edit.right.things)
        for names in slots.values():
            kept = kept & shows(source.judge, images, names)
        found[kind] = Edited(float(asked.mean()), float(kept.mean()), float((asked & kept).mean()), len(images))
    return found


def _edit_cells(own: Mapping[str, Edited], teacher: Mapping[str, Edited]) -> dict[Column, str]:
    return {
        Column(f"{kind}: {name}", HIGHER): share(getattr(one, field))
        for kind, one in own.items()
        for name, field in (("asked", "asked"), ("rest kept", "kept"), ("both", "both"))
    }


def _redrawn(student: Line, teacher: Line) -> str:
    own, ceiling = student[EDIT], teacher[EDIT]
    worse = [kind for kind in own if kind in ceiling and below(own[kind].both, own[kind].n, DUE * ceiling[kind].both)]
    listed = ", ".join(
        f"another {kind} {own[kind].both:.3f} (the teacher's {ceiling[kind].both:.3f})" for kind in worse
    )
    return f"edits that do what was asked and keep the rest: {listed}." if worse else ""


def _mixed(source: SourceTransfers) -> Curve | None:
    if not source.mixed:
        return None
    judge, curve = source.judge, Curve({})
    for mix, (asked, images) in source.mixed.items():
        curve.prompt[mix] = float(shows(judge, images, asked.right.things).mean())
        curve.picture[mix] = float(shows(judge, images, asked.others).mean())
    return curve


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's correlation of values with their order; NaN of values that are all equal."""
    if len(set(values)) < 2:
        return float("nan")
    _, inverse, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    ends: NDArray[np.int64] = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def _mix_cells(own: Curve | None, teacher: Curve | None) -> dict[Column, str]:
    if own is None:
        return {}
    shares = {f"mix {mix:g}": f"{own.prompt[mix]:.2f} / {own.picture[mix]:.2f}" for mix in MIXES}
    order = rank_correlation([own.prompt[mix] for mix in MIXES])
    return {Column(head): cell for head, cell in {**shares, "rank correlation": share(order)}.items()}


def _worse(student: Line, teacher: Line) -> str:
    own, ceiling = student[TRANSFER], teacher[TRANSFER]
    if own is None or ceiling is None or not below(own.both, own.n, DUE * ceiling.both):
        return ""
    return f"thing and style are both right in {own.both:.3f} of its transfers, in {ceiling.both:.3f} of the teacher's."


def _copies(student: Line, teacher: Line) -> str:
    varied = student[VARIATION]
    if varied is None or not varied.apart < COPY or varied.apart >= COPY * (teacher[VARIATION] or varied).apart:
        return ""
    return (
        f"its variations lie at {varied.apart:.2f} of the usual distance from their picture: nearer than the teacher's."
    )


VARIATION = Figure[Varied | None](
    name="variation",
    table="Variation of held-out pictures",
    measure=_varied,
    cells=_variation_cells,
    note="Distance of a variation to its picture ÷ that of two held-out pictures of one style, by the judge: 0 is a copy, 1 "
    "another thing. Where thing, style and ground determine a picture, the right variation is the picture itself.",
    remark=_copies,
)
TRANSFER = Figure[KeptShares | None](
    name="transfer",
    table="Style transfer: content of one picture, style of another",
    measure=_transferred,
    cells=_cells,
    note="Style transfer asks for combinations of thing and style that training does not have, where the set holds such.",
    remark=_worse,
)
EDIT = Figure[Mapping[str, Edited]](
    name="edit",
    table="Edits in words: the asked ground or style, the rest kept",
    measure=_edited,
    cells=_edit_cells,
    note="An edit is right where the judge sees what was asked for, and the rest as in the real picture. Caption and redraw: "
    "the picture is captioned, a word of that is changed, and the caption is drawn.",
    remark=_redrawn,
)
MIX = Figure[Curve | None](
    name="mix",
    table="Prompt of one thing, picture of another: prompt's / picture's thing seen",
    measure=_mixed,
    cells=_mix_cells,
)
TRANSFER_FIGURES: tuple[Figure[Any], ...] = (VARIATION, TRANSFER, EDIT, MIX)
"""What an evaluation measures of images asked for by pictures, in the order of its tables."""
