"""An exponential moving average of a network's weights; it knows nothing about training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """`module` is a frozen copy that follows `source`; early steps follow faster, as `(1 + step)/(10 + step)`."""

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.decay = decay
        self.source = source
        self.module = copy.deepcopy(source).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the source."""
        weight = 1.0 - min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.module.parameters())
        sources: list[Tensor] = list(self.source.parameters())
        torch._foreach_lerp_(averages, sources, weight)
        for average, buffer in zip(self.module.buffers(), self.source.buffers(), strict=True):
            average.copy_(buffer)
