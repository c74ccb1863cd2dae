"""Images to features by the name of a network; it knows no distance and nothing of where images come from.

Shapes: `N` batch, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base.errors import BadInput
from metrics.distances import Features
from models.pixel_tensors import from_uint8

Images = NDArray[np.uint8]
"""`(N, H, W, 3)` uint8 RGB."""
Extract = Callable[[Images], Features]
"""Images → `(N, D)` float64."""

BATCH = 100

NETWORKS = {
    "judge": "judge_network",
    "inception": "inception",
    "clip": "clip_network",
    "dino": "dino",
    "dinov2": "dino",
    "efficientnet-lite": "efficientnet_lite",
}
"""The name of a network → the file in `metrics/` whose `load` opens its folder (CLIP, DINO: a Hub name too)."""


class Network(Protocol):
    """What every file of `NETWORKS` opens: a `torch.nn.Module` with two ways to see images `(N, 3, H, W)` in [−1, 1]."""

    def features(self, images: Tensor) -> Tensor:
        """What distances are taken on: `(N, 3, H, W)` → `(N, D)`."""

    def embed(self, images: Tensor) -> Tensor:
        """For identification, neighbours and diversity: `(N, 3, H, W)` → `(N, D')` of length 1."""


class CaptionNetwork(Network, Protocol):
    """A network that reads captions as well."""

    def texts(self, captions: Sequence[str]) -> Tensor:
        """N captions → `(N, D')` of length 1, in the space of `embed`."""


def load(name: str, folder: str | Path) -> Network:
    """Open the network `name` with the weights in `folder`. BadInput: no such network, or none there."""
    if name not in NETWORKS:
        raise BadInput(f"no feature network '{name}'; accepted: {', '.join(NETWORKS)}")
    module = importlib.import_module(f"metrics.{NETWORKS[name]}")
    network: Network = module.load(Path(folder) if Path(folder).exists() else folder)
    return network


def features(network: Network, images: Images) -> Features:
    """What distances are taken on: images `(N, H, W, 3)` → `(N, D)`."""
    return rows(network, network.features, images)


def embeddings(network: Network, images: Images) -> Features:
    """What an image shows, for identification, neighbours and diversity: `(N, H, W, 3)` → `(N, D')` of length 1."""
    return rows(network, network.embed, images)


def texts(network: CaptionNetwork, captions: Sequence[str]) -> Features:
    """What captions say: N of them → `(N, D')` of length 1; each different caption is read once."""
    different = list(dict.fromkeys(captions))
    batches = [different[start : start + BATCH] for start in range(0, len(different), BATCH)]
    embedded = np.concatenate([network.texts(batch).double().cpu().numpy() for batch in batches])
    indices = {caption: index for index, caption in enumerate(different)}
    return np.asarray(embedded[[indices[caption] for caption in captions]], dtype=np.float64)


@torch.no_grad()
def rows(network: Network, function: Callable[[Tensor], Tensor], images: Images) -> Features:
    """`function` of a network, batch by batch: images `(N, H, W, 3)` uint8 → `(N, …)`; it sees `(N, 3, H, W)` in [−1, 1]."""
    assert isinstance(network, torch.nn.Module)
    device = next(network.parameters()).device
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([function(from_uint8(batch).to(device)).double().cpu().numpy() for batch in batches])
