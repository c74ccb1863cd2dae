"""Style transfer as the paper does it without training, by principal components of local tokens; it draws and judges nothing.

Shapes: `N` pictures, `H W` pixels, `P` patches, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.transfers.transfer_rivals import Principal
from models.context_focus import focused
from models.labels import Input, Wish
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8


def by_components(pipeline: Pipeline) -> Principal | None:
    """Style apart from content by the principal components of patches, with the flow's own encoder; None where that has none.

    The way of the paper (`models.context_focus`) at its two ends: of the content picture's patches the leading components are
    damped, of the style picture's all but those. Each gives tokens of both kinds, as no pool is told what is which, and the
    two sets are averaged, each picture at half its strength.
    """
    encoder: Any = getattr(pipeline.conditioner, "image_encoder", None)
    if not hasattr(encoder, "local"):
        return None

    @torch.no_grad()
    def tokens(images: NDArray[np.uint8], focus: float) -> Any:
        local = encoder.local(from_uint8(images).to(pipeline.device)).float().cpu().numpy()  # (N, 1 + P, Dp)
        patches = np.stack([focused(one, focus)[1:] for one in local])
        return encoder.pooled(torch.from_numpy(patches).to(pipeline.device)).float().cpu().numpy()

    def principal(content: NDArray[np.uint8], style: NDArray[np.uint8]) -> list[Input]:
        both = (tokens(content, 0.0) + tokens(style, 1.0)) / 2  # (N, T, D)
        half = both.shape[1] // 2
        return [Wish(content=row[:half], style=row[half:]) for row in both]

    return principal
