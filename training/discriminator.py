"""Discriminator heads on a frozen teacher's own features of re-noised samples (LADD, arXiv 2403.12015).

It knows nothing about losses or students. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional

from models.conditioning import Conditioning


def encoder_features(
    unet: UNet2DConditionModel, sample: Tensor, timesteps: Tensor, conditioning: Conditioning
) -> list[Tensor]:
    """Feature maps `(N, C_i, h_i, w_i)` of every encoder block before its downsampling, and of the middle block."""
    hidden_states = conditioning.encoder_hidden_states
    embedding = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=timesteps))
    added = unet.get_aug_embed(embedding, hidden_states, added_cond_kwargs={})
    embedding = embedding if added is None else embedding + added
    hidden = unet.conv_in(sample)
    features = []
    for block in unet.down_blocks:
        known = {"encoder_hidden_states": hidden_states} if getattr(block, "has_cross_attention", False) else {}
        hidden, outputs = block(hidden_states=hidden, temb=embedding, **known)
        features.append(outputs[len(block.resnets) - 1])
    features.append(unet.mid_block(hidden, embedding, encoder_hidden_states=hidden_states))
    return features


class Head(nn.Module):
    """Feature map → one logit a sample, told the caption and the noise level (projection, arXiv 1802.05637)."""

    def __init__(self, channels: int, width: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.GroupNorm(min(8, width), width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.embed = nn.Linear(condition, width)
        self.project = nn.Linear(condition, width)
        self.logit = nn.Conv2d(width, 1, 1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features `(N, C, h, w)`, condition `(N, condition)` → `(N,)`."""
        hidden = functional.silu(self.norm(self.first(features)))
        hidden = functional.silu(self.second(hidden + self.embed(condition)[:, :, None, None]))
        aligned = (hidden * self.project(condition)[:, :, None, None]).sum(dim=1) / math.sqrt(hidden.shape[1])
        logits: Tensor = (self.logit(hidden)[:, 0] + aligned).mean(dim=(1, 2))
        return logits


class Discriminator(nn.Module):
    """One light head for every feature map of the teacher's encoder; the teacher itself is not part of it."""

    def __init__(self, unet: UNet2DConditionModel, width: int) -> None:
        super().__init__()
        channels = [*unet.config["block_out_channels"], unet.config["block_out_channels"][-1]]
        condition = int(unet.config["cross_attention_dim"]) + _TIME
        self.heads = nn.ModuleList([Head(count, width, condition) for count in channels])

    def condition(self, conditioning: Conditioning, timesteps: Tensor) -> Tensor:
        """The caption's last token (it has seen all others) and the noise level, `(N, D + 16)`."""
        assert conditioning.encoder_hidden_states is not None
        last = conditioning.encoder_hidden_states[:, -1].float()
        return torch.cat([last, _waves(timesteps)], dim=1)

    def forward(self, features: Sequence[Tensor], condition: Tensor) -> list[Tensor]:
        """Logits `(N,)` of every head."""
        return [head(feature, condition) for head, feature in zip(self.heads, features, strict=True)]


_TIME = 16


def _waves(timesteps: Tensor) -> Tensor:
    frequencies = 2.0 ** torch.arange(_TIME // 2, device=timesteps.device) * math.pi / 1000
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
