"""Augmentation of image tensors on the device; it knows nothing about data sets or networks.

Shapes: `N` batch, `C` channels, `H W` pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.per_sample import per_sample
from training.run.draws import Draws


def shift(images: Tensor, draws: Draws, reach: int) -> Tensor:
    """Move each image by up to `reach` pixels, its edge repeated: `(N, C, H, W)` → the same."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    offsets = draws.integers(2 * reach + 1, 2).tolist()
    return torch.stack(
        [image[:, top : top + height, left : left + width] for image, (top, left) in zip(padded, offsets, strict=True)]
    )


def mirror(images: Tensor, draws: Draws) -> Tensor:
    """Flip half of the images from left to right: `(N, C, H, W)` → the same."""
    flipped = per_sample(draws.uniform() < 0.5)
    return torch.where(flipped, images.flip(3), images)
