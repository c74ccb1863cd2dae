"""The conditioner of a flow that sees pictures, through a frozen encoder; it knows no flow, and nothing about training.

Shapes: `N` batch, `T` tokens of a picture, `D` width, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from base.errors import BadInput
from models.parts import Conditioner
from models.pixel_tensors import from_uint8


@torch.no_grad()
def embedded(encoder: nn.Module, images: Sequence[Any]) -> Tensor:
    """Pictures `(H, W, 3)` uint8, each of any size → tokens `(N, T, D)` float32 on the host."""
    device = next(encoder.parameters()).device
    return torch.cat([encoder(from_uint8(np.asarray(image)[None]).to(device)) for image in images]).float().cpu()


class PictureConditioner(Conditioner):
    """What conditioners of pictures share: a frozen encoder that turns them into tokens before a step begins."""

    image_encoder: Any

    def __init__(self, image_encoder: nn.Module) -> None:
        """`image_encoder`: images `(N, 3, H, W)` → `tokens` tokens of `width`; it was made for squares of `side` pixels."""
        super().__init__()
        self.image_encoder = image_encoder

    def embed(self, images: Sequence[Any]) -> Tensor:
        """Pictures `(H, W, 3)` uint8, each of any size → tokens `(N, T, D)` float32 on the host."""
        return embedded(self.image_encoder, images)

    def tokens(self, picture: Any, first: int, last: int) -> Tensor:
        """A picture `(H, W, 3)` uint8, or its tokens as they are → tokens `first` to `last` of T, `(last − first, D)`.

        BadInput: tokens of another shape, or not finite.
        """
        array, width = np.asarray(picture), self.image_encoder.width
        if array.dtype == np.uint8:
            return self.embed([array])[0, first:last]
        if array.shape != (last - first, width) or not np.isfinite(array).all():
            raise BadInput(f"a picture's tokens must be {last - first}x{width} finite numbers, got {list(array.shape)}")
        return torch.from_numpy(array.astype(np.float32))
