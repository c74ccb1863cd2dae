"""An exponential moving average of a network's weights; it knows nothing about training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from training.run import sharding
from training.run.sharding import is_shared, local


class Ema:
    """`module` is a frozen copy that follows `source`; early steps follow faster, as `(1 + step)/(10 + step)`.

    Weights that `source` does not learn are shared with it. In bf16 the average rounds up or down at random, by how near
    either is: to the nearest, steps of a thousandth of the way would all be lost.
    """

    def __init__(
        self, source: nn.Module, decay: float, dtype: torch.dtype = torch.float32, module: nn.Module | None = None
    ) -> None:
        """`module`: a copy that is there already, whose weights have the parts that this process keeps of the source's."""
        self.decay = decay
        if module is None:
            frozen = {id(weight): weight for weight in source.parameters() if not weight.requires_grad}
            module = copy.deepcopy(source, frozen).eval().requires_grad_(False)
        self.module = module
        weights = zip(self.module.parameters(), source.parameters(), strict=True)
        pairs = [(average, weight) for average, weight in weights if average is not weight]
        self.averages: list[Tensor] = [average for average, _ in pairs]
        self.weights: list[Tensor] = [weight for _, weight in pairs]
        for average in self.averages if dtype != torch.float32 and not is_shared(self.averages) else ():
            average.data = average.data.to(dtype)
        self.source = source

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the source."""
        weight = 1.0 - min(self.decay, (1 + step) / (10 + step))
        averages, weights = map(local, self.averages), map(local, self.weights)
        if self.averages and self.averages[0].dtype == torch.bfloat16:
            generator = torch.Generator(self.averages[0].device).manual_seed(step)
            for average, source in zip(averages, weights, strict=True):
                average.copy_(rounded(average.float().lerp_(source, weight), generator))
        elif self.averages:
            torch._foreach_lerp_(list(averages), list(weights), weight)
        for average, buffer in zip(self.module.buffers(), self.source.buffers(), strict=True):
            average.copy_(buffer)


def averaged(source: nn.Module, decay: float, dtype: torch.dtype) -> Ema:
    """The average of a network; of one that is shared out among processes here and now, where that was asked for.

    BadInput: the network cannot be shared out.
    """
    if sharding.processes() < 2:
        return Ema(source, decay, dtype)
    empty = sharding.outline(source)
    sharding.share_out(source, next(source.parameters()).device)
    return Ema(source, decay, dtype, sharding.follow(empty, source, dtype))


def rounded(values: Tensor, generator: torch.Generator) -> Tensor:
    """float32 of any shape → bf16, up or down with a chance that makes the mean exact."""
    noise = torch.randint(0, 1 << 16, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    return ((values.view(torch.int32) + noise) & ~0xFFFF).view(torch.float32).bfloat16()
