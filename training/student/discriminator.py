"""Discriminator heads on the maps of a frozen feature network; they know nothing about losses or students.

Shapes: `N` batch, `C` channels, `h w` map, `D` width of the condition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.conditioning import Conditioning

TIME = 16
"""Width of the noise level's embedding."""


class Head(nn.Module):
    """Feature map → one logit a sample, conditioned by projection (arXiv 1802.05637)."""

    def __init__(self, channels: int, width: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.GroupNorm(min(8, width), width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.embed = nn.Linear(condition, width)
        self.project = nn.Linear(condition, width)
        self.logit = nn.Conv2d(width, 1, 1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features `(N, C, h, w)`, condition `(N, D)` → `(N,)`."""
        hidden = functional.silu(self.norm(self.first(features)))
        hidden = functional.silu(self.second(hidden + self.embed(condition)[:, :, None, None]))
        aligned = (hidden * self.project(condition)[:, :, None, None]).sum(dim=1) / math.sqrt(hidden.shape[1])
        logits: Tensor = (self.logit(hidden)[:, 0] + aligned).mean(dim=(1, 2))
        return logits


class Discriminator(nn.Module):
    """One light head for every map; the feature network itself is not part of it."""

    def __init__(self, channels: Sequence[int], width: int, condition: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(count, width, condition) for count in channels])

    def forward(self, features: Sequence[Tensor], condition: Tensor) -> list[Tensor]:
        """Maps `(N, C_i, h_i, w_i)`, condition `(N, D)` → logits `(N,)` of every head."""
        return [head(feature.float(), condition) for head, feature in zip(self.heads, features, strict=True)]


def head_conditioning(conditioning: Conditioning, timesteps: Tensor) -> Tensor:
    """What heads are conditioned on `(N, D)`: the caption's last token, which has seen all others, and the noise level.

    `timesteps` `(N,)`.
    """
    return torch.cat([conditioning.last_token().float(), waves(timesteps)], dim=1)


def waves(timesteps: Tensor) -> Tensor:
    """Timesteps `(N,)` of 1,000 as sines and cosines `(N, 16)`."""
    frequencies = 2.0 ** torch.arange(TIME // 2, device=timesteps.device) * math.pi / 1000
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
