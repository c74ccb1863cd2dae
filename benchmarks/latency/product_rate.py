"""How fast this machine multiplies matrices in torch, by number format: what a latency is a share of; it knows no model."""

from __future__ import annotations

import time

import torch

SIDE, CALLS = 2048, 8
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def product_rates(side: int = SIDE) -> dict[str, float]:
    """Format → TFLOP/s of square products, two operations a multiply-add, the best of a few calls on torch's threads."""
    return {name: _rate(side, dtype) for name, dtype in DTYPES.items()}


@torch.no_grad()
def _rate(side: int, dtype: torch.dtype) -> float:
    left, right = torch.randn(2, side, side).to(dtype).unbind()
    best = 0.0
    for _ in range(CALLS):
        began = time.perf_counter()
        torch.mm(left, right)
        best = max(best, 2 * side**3 / (time.perf_counter() - began) / 1e12)
    return best
