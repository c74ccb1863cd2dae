"""Does an image fit its caption, by the cosine of their embeddings; it knows no network.

Shapes: `N` images with a caption each, `D` common width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.distances import Features


@dataclass(frozen=True)
class Similarity:
    """CLIP similarity (CLIPScore without its factor, arXiv 2104.08718, section 3): cosines, 1 at most."""

    own: float
    """Mean over images with their own captions."""
    shuffled: float | None
    """Mean over images with every caption that is another: the floor of who ignores captions. None: all are equal."""


def similarity(images: Features, texts: Features, captions: Sequence[str]) -> Similarity:
    """Rows `(N, D)` of length 1 of images and of their captions; the captions say which rows are equal.

    `shuffled` is not a draw but the mean over all wrong pairs.
    """
    cosines = images @ texts.T  # (N, N)
    names = np.array(captions)
    wrong = cosines[names[:, None] != names[None, :]]
    return Similarity(float(np.diag(cosines).mean()), float(wrong.mean()) if wrong.size else None)
