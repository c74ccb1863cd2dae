"""Latents of a data set, encoded once for all runs; it knows nothing about what trains on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.pipeline import from_uint8
from training import cache
from training.data.folder import ImageFolder
from training.parts import split


@torch.no_grad()
def encode(autoencoder: nn.Module, images: ImageFolder) -> Tensor:
    """Latents `(N, C, h, w)` float32 of all images, kept for whoever asks with the same weights and images."""
    ends = torch.tensor([0, len(images) - 1])
    shape = _encode(autoencoder, images, ends).shape  # the identity has no weights, but a scale
    name = cache.digest([autoencoder], len(images), torch.from_numpy(images.images(ends.tolist())), shape)
    parts = split(len(images), (3, *images.shape), 64)
    return cache.kept(f"latents-{name}", lambda: torch.cat([_encode(autoencoder, images, part) for part in parts]))


def _encode(autoencoder: nn.Module, images: ImageFolder, part: Tensor) -> Tensor:
    device = next((weight.device for weight in autoencoder.parameters()), torch.device("cpu"))
    pixels = from_uint8(images.images(part.tolist())).to(device)
    return autoencoder.encode(pixels).float().cpu()  # type: ignore[operator, no-any-return]
