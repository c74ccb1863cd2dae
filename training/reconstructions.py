"""How images come back from an encoder and a decoder: figures, a grid, a distance of edges; it trains nothing.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.imagefolder import ImageFolder
from metrics import sharpness
from models.pixel_tensors import from_uint8, to_uint8
from training.subsets import evenly

Codec = Callable[[Tensor], Tensor]
"""Images `(N, 3, H, W)` → latents `(N, C, h, w)`, or back."""


@torch.no_grad()
def reconstruction_figures(encode: Codec, decode: Codec, images: ImageFolder) -> dict[str, float]:
    """PSNR in dB of the set's reconstructions, and their mean absolute Laplacian over the originals'."""
    originals = images.images(list(range(len(images))))  # (N, H, W, 3)
    batches = np.array_split(originals, range(50, len(images), 50))
    decoded = np.concatenate([to_uint8(decode(encode(from_uint8(batch)))) for batch in batches])
    psnr = sharpness.psnr(decoded, originals)
    detail = sharpness.laplacian(decoded) / sharpness.laplacian(originals)
    return {"score": -psnr, "psnr": psnr, "laplacian": detail}


@torch.no_grad()
def reconstruction_grid(encode: Codec, decode: Codec, images: ImageFolder, count: int = 16) -> NDArray[np.uint8]:
    """Originals in the upper row, reconstructions below: `(2·H, count·W, 3)` uint8."""
    originals = images.images(evenly(len(images), count))
    rows = [originals, to_uint8(decode(encode(from_uint8(originals))))]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def edge_distance(images: Tensor, others: Tensor) -> Tensor:
    """L1 distance between the finite differences of two image batches `(N, 3, H, W)`."""
    difference = images - others
    horizontal = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    vertical = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return horizontal + vertical
