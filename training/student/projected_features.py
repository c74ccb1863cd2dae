"""The inner maps of a frozen EfficientNet-Lite on decoded pictures, mixed at random (Projected GAN, arXiv 2111.01007).

It knows nothing about losses or students. Shapes: `N` batch, `C` channels, `h w` latent or map, `H W` pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics import efficientnet_lite
from models.conditioning import Conditioning
from training.student.discriminator_features import View

BLOCKS = (1, 3, 5, 11)
"""Behind which maps are taken: a quarter to a thirty-second of the pixels a side in size 0, as in the paper."""
LEAST = 64
"""Pixels a side to which smaller pictures are enlarged, so that the coarsest map is more than a point."""
WIDTH = 64
"""Channels of every mixed map."""
_SEED = 7


class ProjectedFeatures:
    """Four maps, each mixed across its channels and with the coarser ones, by frozen random convolutions (section 3.2).

    Mixed so, heads cannot ignore what lies deep, and a map tells of all coarser ones. BadInput: no such network there.
    """

    noisy = False

    def __init__(self, folder: Path, decode: Callable[[Tensor], Tensor]) -> None:
        self.network = efficientnet_lite.load(folder)
        self.decode = decode
        widths = [one.shape[1] for one in self.network.maps(torch.zeros(1, 3, 32, 32), BLOCKS)]
        generator = torch.Generator().manual_seed(_SEED)
        self.across = nn.ModuleList([_random(width, 1, generator) for width in widths])
        self.down = nn.ModuleList([_random(WIDTH, 3, generator) for _ in widths])
        self.channels: Sequence[int] = [WIDTH] * len(widths)

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        """Latents `(N, C, h, w)` → maps `(N, 64, h_i, w_i)`, the finest first; neither noise nor conditioning matters."""
        pictures = _enlarged(self.decode(sample))
        for module in (self.network, self.across, self.down):
            module.to(pictures.device)
        levels = [*zip(self.across, self.down, self.network.maps(pictures, BLOCKS), strict=True)]
        maps: list[Tensor] = []
        for across, down, raw in reversed(levels):
            own: Tensor = across(raw)
            if maps:
                coarser = functional.interpolate(maps[-1].float(), own.shape[2:], mode="bilinear")
                own = own + coarser.to(own.dtype)
            maps.append(down(own))
        return maps[::-1]


def _enlarged(pictures: Tensor) -> Tensor:
    """`(N, 3, H, W)`, its shorter side `LEAST` pixels or more."""
    factor = LEAST / min(pictures.shape[2:])
    if factor <= 1:
        return pictures
    return functional.interpolate(pictures, scale_factor=factor, mode="bilinear", align_corners=False)


def _random(inputs: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    """A frozen convolution to `WIDTH` channels that keeps the scale of its input."""
    convolution = nn.Conv2d(inputs, WIDTH, kernel, padding=kernel // 2, bias=False).requires_grad_(False)
    with torch.no_grad():
        spread = 1 / math.sqrt(inputs * kernel**2)
        convolution.weight.copy_(spread * torch.randn(convolution.weight.shape, generator=generator))
    return convolution
