"""What a frozen encoder makes of all pictures of a split, computed once for all runs; it knows nothing about flows.

Shapes: `N` pictures, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from data.imagefolder import ImageFolder
from models.context_encoder import ContextEncoder
from models.pixel_tensors import from_uint8
from training.run import tensor_cache
from training.run.device import device
from training.subsets import split


@torch.no_grad()
def picture_tokens(image_encoder: ContextEncoder, images: ImageFolder) -> Tensor:
    """The tokens `(N, T, D)` of all pictures of a split, on the host."""
    encoder = image_encoder.to(device())
    name = tensor_cache.digest([encoder], images.digest)

    def encode() -> Tensor:
        batches = split(len(images), (3, *images.shape), 64)
        return torch.cat([encoder(from_uint8(images.images(b.tolist())).to(device())).float().cpu() for b in batches])

    return tensor_cache.cached(f"pictures-{name}", encode)
