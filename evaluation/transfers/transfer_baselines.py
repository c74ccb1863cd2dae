"""Answers to what is asked for by pictures that need no generator: pictures as they are, colours moved; it judges nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluation.transfers.asked_by_pictures import AskedByPictures
from evaluation.transfers.edits import AskedEdit
from evaluation.transfers.source_transfers import SourceTransfers
from metrics.features import Images
from metrics.judge_network import Judge


def baselines(
    judge: Judge, varied: AskedByPictures, moved: AskedByPictures | None, edited: Mapping[str, AskedEdit]
) -> dict[str, SourceTransfers]:
    """By the line's name; the reals are the ceiling of the judge."""
    right = {kind: (edit, edit.right.images) for kind, edit in edited.items()}
    reals = SourceTransfers(
        judge, (varied, varied.content), None if moved is None else (moved, moved.right.images), edited=right
    )
    found = {"the pictures themselves": reals}
    as_it_is = {kind: (edit, edit.given.images) for kind, edit in edited.items()}
    content = None if moved is None else (moved, moved.content)
    if moved is not None or edited:
        found["content as it is"] = SourceTransfers(judge, transfer=content, edited=as_it_is)
    if moved is not None:
        recolouring = recoloured(moved.content, moved.style)
        found["style picture as it is"] = SourceTransfers(judge, transfer=(moved, moved.style))
        found["content in the style picture's colours"] = SourceTransfers(judge, transfer=(moved, recolouring))
    return found


def recoloured(images: Images, others: Images) -> Images:
    """Images `(N, H, W, 3)` with mean and deviation of each colour channel of others `(N, H, W, 3)`.

    The transfer of Reinhard et al. (2001), in RGB: what a style is, where it is no more than colours.
    """
    own, target = images.astype(np.float64), others.astype(np.float64)
    (mean, deviation), (new_mean, new_deviation) = (
        (one.mean(axis=(1, 2), keepdims=True), one.std(axis=(1, 2), keepdims=True)) for one in (own, target)
    )
    moved = (own - mean) * new_deviation / np.maximum(deviation, 1e-9) + new_mean
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)
