"""Latents of a data set, encoded once for all runs; it knows nothing about what trains on them.

Shapes: `N` images, `C` channels, `h w` latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models.pipeline import Autoencoder, Pipeline
from models.pixel_tensors import from_uint8
from training.run import tensor_cache
from training.subsets import split


@torch.no_grad()
def encode(pipeline: Pipeline, images: ImageFolder) -> Tensor:
    """Latents `(N, C, h, w)` float32 of all images; the same weights and images are encoded once.

    BadInput, before all are encoded: images of another size than the denoiser draws.
    """
    autoencoder = pipeline.autoencoder
    shape = _encode(autoencoder, images, torch.tensor([0])).shape[1:]
    _check(shape, pipeline.latent_shape, images)
    name = tensor_cache.digest(
        [autoencoder], autoencoder.scaling_factor, images.digest, shape
    )  # identities have no weights
    batches = split(len(images), (3, *images.shape), 64)
    return tensor_cache.cached(
        f"latents-{name}", lambda: torch.cat([_encode(autoencoder, images, indices) for indices in batches])
    )


def _check(shape: torch.Size, expected: tuple[int, int, int], images: ImageFolder) -> None:
    if tuple(shape) == expected:
        return
    if shape[0] != expected[0]:
        raise BadInput(
            f"the autoencoder gives latents of {shape[0]} channels, the denoiser takes {expected[0]}: "
            "they belong to different bases"
        )
    height, width = images.shape
    size = f"{width * expected[2] // shape[2]}x{height * expected[1] // shape[1]}"
    raise BadInput(
        f"images of {images.name} are {width}x{height} pixels, latents of {list(shape)}; the base draws {list(expected)}, "
        f"which is {size}: build the data with that size"
    )


def _encode(autoencoder: Autoencoder, images: ImageFolder, indices: Tensor) -> Tensor:
    device = next((weight.device for weight in autoencoder.parameters()), torch.device("cpu"))
    pixels = from_uint8(images.images(indices.tolist())).to(device)
    return autoencoder.encode(pixels).float().cpu()
