"""CLIP's two towers as contexts in one space: all tokens through its projections; it knows nothing about who attends to them.

As Versatile Diffusion conditions (arXiv 2211.08332, section 3.2), tokens are divided by the length of the pooled one: a text's
at its end, a picture's class token. Shapes: `N` batch, `S` tokens, `P` tokens of one picture, `D` width, `H W` pixels.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD


class ClipTextContext(nn.Module):
    """Token ids → tokens in the shared space."""

    def __init__(self, clip: CLIPTextModelWithProjection) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, input_ids: Tensor) -> BaseModelOutput:
        """Ids `(N, S)` → `last_hidden_state (N, S, D)`, projected and divided by the length of the pooled text."""
        output = self.clip(input_ids)
        tokens = self.clip.text_projection(output.last_hidden_state)
        return BaseModelOutput(last_hidden_state=tokens / output.text_embeds.norm(dim=-1, keepdim=True)[:, None])


class ClipPictureContext(nn.Module):
    """Pictures → tokens in the shared space, twice: a row has room for two pictures, content and style.

    `tokens` are those of both, 2·P. The class token is the first of each picture's, the others are its patches.
    """

    local_tokens = True

    def __init__(self, clip: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.clip = clip
        vision: Any = clip.config
        self.side, self.width = int(vision.image_size), int(vision.projection_dim)
        self.tokens = 2 * ((self.side // int(vision.patch_size)) ** 2 + 1)
        for name, values in (("mean", OPENAI_CLIP_MEAN), ("spread", OPENAI_CLIP_STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1], brought to CLIP's square → tokens `(N, 2·P, D)`: the picture's, and again."""
        if images.shape[2:] != (self.side, self.side):
            size = (self.side, self.side)
            images = functional.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
        pixels = ((images + 1) / 2 - cast(Tensor, self.mean)) / cast(Tensor, self.spread)
        hidden = self.clip.vision_model(pixel_values=pixels).last_hidden_state
        tokens = self.clip.visual_projection(self.clip.vision_model.post_layernorm(hidden))  # (N, P, D)
        tokens = tokens / tokens[:, :1].norm(dim=-1, keepdim=True)
        return torch.cat([tokens, tokens], dim=1)
