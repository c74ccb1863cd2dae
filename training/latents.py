"""Latents of a data set, encoded once and kept beside the run; it knows nothing about what trains on them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.pipeline import from_uint8
from training.data.folder import ImageFolder


@torch.no_grad()
def encode(autoencoder: nn.Module, images: ImageFolder, file: Path) -> Tensor:
    """Latents `(N, C, h, w)` float32 of all images; `file` is reused while images and weights are the same."""
    name = _fingerprint(autoencoder, images)
    if file.is_file():
        kept = load_file(file)
        if name in kept:
            return kept[name]
    parts = []
    for first in range(0, len(images), 64):
        batch = from_uint8(images.images(list(range(first, min(first + 64, len(images))))))
        parts.append(autoencoder.encode(batch))  # type: ignore[operator]
    latents = torch.cat(parts).contiguous()
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(file.name + ".tmp")
    save_file({name: latents}, beside)
    os.replace(beside, file)
    return latents


def _fingerprint(autoencoder: nn.Module, images: ImageFolder) -> str:
    digest = hashlib.sha256()
    for weight in autoencoder.state_dict().values():
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    digest.update(images.images([0, len(images) - 1]).tobytes())
    return f"{len(images)}-{digest.hexdigest()[:16]}"
