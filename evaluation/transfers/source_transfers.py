"""What one source drew where images were asked for by pictures; it draws nothing and judges nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.transfers.asked_by_pictures import AskedByPictures
from evaluation.transfers.edits import AskedEdit
from metrics.features import Images
from metrics.judge_network import Judge


class SourceTransfers:
    """Images that one source drew from pictures: a baseline, the teacher or a student."""

    def __init__(
        self, judge: Judge, variation: tuple[AskedByPictures, Images] | None = None,
        transfer: tuple[AskedByPictures, Images] | None = None,
        mixed: Mapping[float, tuple[AskedByPictures, Images]] | None = None,
        edited: Mapping[str, tuple[AskedEdit, Images]] | None = None,
    ) -> None:  # fmt: skip
        """What was asked for, each with an image `(N, H, W, 3)` of each wish; `mixed` by the text's share, `edited` by kind."""
        self.judge, self.variation, self.transfer = judge, variation, transfer
        self.mixed, self.edited = mixed or {}, edited or {}

    def __len__(self) -> int:
        shown = [*(one for one in (self.variation, self.transfer) if one is not None), *self.edited.values()]
        return sum(len(images) for _, images in shown)
