"""How much an evaluation draws: counts, the teacher's sweep, the grids' steps; it imports no torch and draws nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from base.errors import BadInput
from models.sampling import SAMPLERS

GUIDANCES = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 7.5)
"""Guidance weights of the teacher's sweep."""
LEAST = 4
"""Images below which no distance is taken: precision and recall need three neighbours and the image itself."""


@dataclass(frozen=True)
class Effort:
    """How much is drawn. A teacher of 50 guided steps draws some ten small images a second and core."""

    images: int = 400
    """N of the distances: held-out captions drawn once each."""
    captions: int = 200
    """Captions drawn of each set that is identified."""
    guidances: tuple[float, ...] = GUIDANCES
    """The sweep, with every sampler; the teacher is its best by the judge's FD."""
    samplers: tuple[str, ...] = tuple(SAMPLERS)
    sweep: int = 100
    """Images drawn for each point of the sweep."""
    prompts: int = 16
    """Prompts of the variety at a fixed prompt."""
    seeds: int = 8
    """Images of each of them."""
    each: int = 20
    """Images by which an attribute is judged, where so many real ones show it and the judge reads attributes."""
    batch: int = 50
    """Images drawn at once."""
    step_counts: tuple[int, ...] = (1000, 50, 4)
    """Numbers of the teacher's steps that the grid of steps shows, where the judge reads attributes."""

    def check(self) -> None:
        """BadInput: too few images to measure anything, or a sampler that does not exist."""
        if min(self.images, self.sweep, self.captions) < LEAST:
            raise BadInput(f"too few images to measure anything: images, captions and sweep must be at least {LEAST}")
        if unknown := [name for name in self.samplers if name not in SAMPLERS]:
            raise BadInput(f"no sampler '{unknown[0]}'; accepted: {', '.join(SAMPLERS)}")


QUICK = Effort(100, 50, (1.0, 1.5, 2.0), ("ddim",), sweep=50, prompts=4, seeds=4, step_counts=(50, 4))
"""A narrow sweep and few images, for a first look."""


def parse_guidances(text: str) -> tuple[float, ...]:
    """`1,1.25,2` → its numbers. BadInput: they are none."""
    try:
        weights = tuple(float(weight) for weight in text.split(","))
        if not all(map(math.isfinite, weights)):
            raise ValueError(text)
        return weights
    except ValueError as error:
        raise BadInput(f"guidances '{text}' are not numbers with commas between, as in 1,1.5,2") from error
