"""A small vision transformer that sees a picture as content tokens and style tokens; it knows nothing about who uses them.

Two attention pools over the patches of a CLIP vision tower (arXiv 2103.00020), each with learnt queries of its own.
Shapes: `N` batch, `H W` pixels, `P` patches, `T` tokens (content first, then style), `D` width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel


class AttentionPool(nn.Module):
    """Patches → a few tokens: one attention of learnt queries."""

    def __init__(self, tokens: int, patch_width: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(tokens, width))
        self.key, self.value = nn.Linear(patch_width, width), nn.Linear(patch_width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches `(N, P, Dp)` → tokens `(N, T/2, D)` of about unit variance."""
        scores = self.query @ self.key(patches).mT / self.query.shape[1] ** 0.5  # (N, T/2, P)
        return cast(Tensor, self.norm(self.out(scores.softmax(dim=-1) @ self.value(patches))))


class ContextEncoder(ModelMixin, ConfigMixin):
    """Pictures → content tokens and style tokens in the width of the text encoder."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, vision: Mapping[str, Any], width: int = 128, pool_tokens: int = 4) -> None:
        """`vision`: keyword arguments of transformers' `CLIPVisionConfig`; `pool_tokens` of each of the two kinds."""
        super().__init__()
        self.tower = CLIPVisionModel(CLIPVisionConfig(**vision))
        patch_width = self.tower.config.hidden_size
        self.content, self.style = (AttentionPool(pool_tokens, patch_width, width) for _ in range(2))
        self.side, self.tokens, self.width = int(self.tower.config.image_size), 2 * pool_tokens, width

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1], of any size → tokens `(N, T, D)`: content, then style."""
        return self.pooled(self.local(images)[:, 1:])

    def local(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1], of any size → what the tower makes of class token and patches `(N, 1 + P, Dp)`."""
        if images.shape[2:] != (self.side, self.side):
            size = (self.side, self.side)
            images = functional.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
        return cast(Tensor, self.tower(pixel_values=images).last_hidden_state)

    def pooled(self, patches: Tensor) -> Tensor:
        """Patches `(N, P, Dp)` → tokens `(N, T, D)`: content, then style."""
        return torch.cat([self.content(patches), self.style(patches)], dim=1)
