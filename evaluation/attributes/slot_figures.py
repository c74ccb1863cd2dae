"""Figures of captions that leave something open, such as a style: is what they say drawn, and all that they allow.

Only where the judge reads slots, and training's captions leave some of them open. Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.emoji_captions import WHITE
from evaluation.line import HIGHER, LOWER, Column, Figure, Line, share
from evaluation.reference import SourceImages
from metrics import attribute_accuracy as attributes
from metrics.white_ground import stray_share

OPEN = "Captions that leave something open"
"""Title of their table."""
NARROW = 0.85
"""Of the reals' entropy: below, a student draws less than its captions allow."""


def _right(source: SourceImages) -> float | None:
    """Share of images in which the judge sees all that their captions determine."""
    captions = source.reference.open_captions
    if captions is None:
        return None
    targets, said = captions.determined(source.requested.attributes)
    right = attributes.read(source.reference.judge, source.images) == targets
    return float((right | ~said).all(axis=1).mean())


def _of_images(
    name: str, measure: Callable[[SourceImages], float | None], column: Column, number: str, note: str = ""
) -> Figure[float | None]:
    """A figure that is one share of the images: a column of the table, and `number` in the JSON."""
    return Figure(
        name=name,
        table=OPEN,
        measure=measure,
        cells=lambda own, teacher: {} if own is None else {column: share(own)},
        numbers={number: lambda value: value},
        note=note,
    )


RIGHT = _of_images("right", _right, Column("all that is said", HIGHER), "said and drawn")


@dataclass(frozen=True)
class OpenSpread:
    """Entropy in bits of what seeds of a caption show in the slots that it leaves open."""

    own: float
    reals: float
    """Of as many real pictures of the same captions."""
    n: int
    """Images."""

    @property
    def ratio(self) -> float | None:
        """Of the reals' entropy; None where they have none."""
        return self.own / self.reals if self.reals > 0 else None


def _spread(source: SourceImages) -> OpenSpread | None:
    captions, images = source.reference.open_captions, source.by_open_caption  # (P, N, H, W, 3)
    if captions is None or images is None:
        return None
    return OpenSpread(
        captions.entropy(images), captions.real_entropy(images.shape[1]), images.shape[0] * images.shape[1]
    )


def _narrow(student: Line, teacher: Line) -> str:
    own = student[ENTROPY]
    if own is None or own.ratio is None or own.ratio >= NARROW:
        return ""
    of_teacher = teacher[ENTROPY]
    said = f" (the teacher's: {of_teacher.ratio:.2f})" if of_teacher and of_teacher.ratio is not None else ""
    return f"what its captions leave open varies with {own.ratio:.2f} of the reals' entropy{said}."


ENTROPY = Figure[OpenSpread | None](
    name="entropy",
    table=OPEN,
    measure=_spread,
    cells=lambda own, teacher: (
        {} if own is None else {Column("entropy ÷ reals'", HIGHER): share(own.ratio), Column("N"): str(own.n)}
    ),
    numbers={"entropy ÷ reals'": lambda value: value.ratio if value else None},
    note="Entropy: of what the judge sees over several seeds of one caption in the slots that it leaves open; the reals' by as "
    "many pictures of the same caption.",
    remark=_narrow,
)


def _stray(source: SourceImages) -> float | None:
    """Of images on white: the share of pixels outside the picture that are not white.

    What is outside says the real picture that shows the same, in the style that the judge sees; None: there are no such pairs.
    """
    captions, reference = source.reference.open_captions, source.reference
    slots = reference.judge.config.slots
    if captions is None or not any(WHITE in slot for slot in slots):
        return None
    known = {
        tuple(row): image
        for reals in (reference.reals.held_out, reference.reals.train)
        for row, image in zip(attributes.slot_indices(reals.attributes, slots).tolist(), reals.images, strict=True)
    }
    targets, said = captions.determined(source.requested.attributes)
    seen = attributes.read(reference.judge, source.images)
    white = np.array([WHITE in row for row in source.requested.attributes])
    fits = white & ((seen == targets) | ~said).all(axis=1)
    rows = [row for row in np.flatnonzero(fits) if tuple(seen[row]) in known]
    return stray_share(source.images[rows], np.stack([known[tuple(seen[row])] for row in rows])) if rows else None


STRAY = _of_images(
    "stray",
    _stray,
    Column("not white outside", LOWER),
    "not white outside",
    "Not white outside: of pictures on white, the share of pixels outside the real picture of the same thing and style "
    "that differ from white by more than 4 of 255.",
)
SLOT_FIGURES = (RIGHT, ENTROPY, STRAY)
