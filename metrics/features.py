"""Images to features by the name of an extractor; it knows no distance and nothing of where images come from.

Shapes: `N` batch, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics import judge
from metrics.distances import Features
from metrics.judge import Judge

Images = NDArray[np.uint8]
"""`(N, H, W, 3)` uint8 RGB."""
Extract = Callable[[Images], Features]
"""Images → `(N, D)` float64."""

BATCH = 100


def load(name: str, folder: Path) -> Extract:
    """The extractor `name` with the weights in `folder`; so far there is `judge`. ValueError: no such extractor."""
    if name != "judge":
        raise ValueError(f"no feature extractor '{name}'; accepted: judge")
    loaded = judge.load(folder)
    return lambda images: features(loaded, images)


def features(network: Judge, images: Images) -> Features:
    """What is drawn and how sharply, `(N, D + T)`: for distances."""
    return _batches(network, network.features, images)


def embeddings(network: Judge, images: Images) -> Features:
    """What is drawn, `(N, D)` of length 1: for identification and nearest neighbours."""
    return _batches(network, network.embed, images)


@torch.no_grad()
def _batches(network: Judge, function: Callable[[Tensor], Tensor], images: Images) -> Features:
    device = next(network.parameters()).device
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    rows = [function(_to_tensor(part).to(device)).double().cpu().numpy() for part in parts]
    return np.concatenate(rows)


def _to_tensor(images: Images) -> Tensor:
    """`(N, H, W, 3)` uint8 → `(N, 3, H, W)` float32 in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
