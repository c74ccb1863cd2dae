"""What draws, as a call: prompts and seeds → images, in batches; it knows neither pipelines nor bundles.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from base.progress import track
from metrics.features import Images
from models.labels import Input

Draw = Callable[[Sequence[Input], Sequence[int]], Images]
"""`(prompts, seeds) → (N, H, W, 3)` uint8: any pipeline, any backend; a prompt is whatever the task's input is."""
GuidedDraw = Callable[[float, str], Draw]
"""Guidance weight and sampler → a teacher that draws with them."""
RoundTrip = Callable[[Images], Images]
"""Images `(N, H, W, 3)` through an autoencoder and back."""

SEEDS_APART = 1_000_000
"""Between the seeds of two sets of captions."""


def drawn(draw: Draw, prompts: Sequence[Input], seeds: range, batch: int, title: str) -> list[Images]:
    """N prompts with a seed each → their images, `batch` at a time: arrays `(batch, H, W, 3)`, the last one smaller."""
    starts = track(range(0, len(prompts), batch), title, console=Console(stderr=True))
    return [draw(prompts[start : start + batch], seeds[start : start + batch]) for start in starts]


def in_batches(draw: Draw, prompts: Sequence[Input], seeds: Sequence[int], batch: int = 50) -> Images:
    """The same, of few prompts, as one array `(N, H, W, 3)` and without a bar of progress."""
    starts = range(0, len(prompts), batch)
    return np.concatenate([draw(prompts[start : start + batch], seeds[start : start + batch]) for start in starts])
