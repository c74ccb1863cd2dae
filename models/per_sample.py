"""One number a sample beside a batch of maps; it knows no network."""

from __future__ import annotations

from torch import Tensor


def per_sample(values: Tensor) -> Tensor:
    """One number a sample `(N,)` → `(N, 1, 1, 1)`, which broadcasts over maps `(N, C, h, w)`."""
    return values[:, None, None, None]
