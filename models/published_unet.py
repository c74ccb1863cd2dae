"""The image network of Versatile Diffusion as published: a folder of pictures' layers, one of text's; it knows no training.

One UNet of two sets of context layers (arXiv 2211.08332, section 3.2) whose weights lie where diffusers put them in 2022: data
layers and pictures' transformers in `image_unet`, text's transformers in `text_unet`, under the same names.
Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `T` tokens of two pictures, `D` width.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from models.architecture import Architecture
from models.conditioning import Conditioning
from models.versatile_unet import MixedContext, VersatileArchitecture, VersatileUNet, mixed

IMAGE, TEXT = "image_unet", "text_unet"
"""The published folders, and the names of what is theirs in a pair of transformers."""
SIDE = 64
"""Of the latents that it was trained on: the published configuration does not say it."""


class FolderTransformer(nn.Module):
    """Two transformers mixed at the attention level, each under the name of the folder that holds it."""

    def __init__(self, text: nn.Module, image: nn.Module) -> None:
        super().__init__()
        self.text_unet, self.image_unet = text, image

    def forward(self, hidden_states: Tensor, encoder_hidden_states: MixedContext, **others: Any) -> tuple[Tensor]:
        """A map `(N, C, h, w)` under its contexts → one of the same shape, alone in a tuple."""
        return mixed(self.text_unet, self.image_unet, hidden_states, encoder_hidden_states, others)


class PublishedUNet(VersatileUNet):
    """The published image UNet with text's transformers in it; pictures are content and style, T/2 tokens each."""

    mixer = FolderTransformer

    def forward(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor | None = None,
        image_embeds: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Any:
        """Sample `(N, C, h, w)`, text `(N, S, D)`, pictures `(N, T, D)`, share of the text `(N,)` → `.sample (N, C, h, w)`."""
        return super().forward(sample, timestep, encoder_hidden_states, filled(image_embeds), mix)


functools.update_wrapper(PublishedUNet.__init__, UNet2DConditionModel.__init__)


def filled(image_embeds: Tensor | None) -> Tensor | None:
    """Tokens `(N, T, D)` of content and style: where one is all zeros, the other stands twice.

    To attend to the same tokens twice is to attend to them once, so one picture alone conditions exactly as published; two
    are concatenated, as in its demo. Zeros for both stay zeros: its null condition.
    """
    if image_embeds is None:
        return None
    content, style = image_embeds.chunk(2, dim=1)  # (N, T/2, D) each
    no_content, no_style = (one.abs().amax(dim=(1, 2), keepdim=True) == 0 for one in (content, style))
    return torch.cat([torch.where(no_content, style, content), torch.where(no_style, content, style)], dim=1)


class PublishedArchitecture(VersatileArchitecture):
    """The inside of a `PublishedUNet`."""

    def split(self, conditioning: Conditioning) -> tuple[Any, dict[str, Any]]:
        """What the blocks attend to; pictures are filled as the network does. Arrays are `(N, …)`."""
        context, added = super().split(conditioning)
        return context._replace(image=filled(context.image)), added


def view(unet: PublishedUNet) -> Architecture:
    """The inside of one."""
    return PublishedArchitecture(unet)


def make(config: Mapping[str, Any]) -> PublishedUNet:
    """One with random weights."""
    return cast(PublishedUNet, PublishedUNet.from_config(dict(config)))


def stored_as(name: str) -> tuple[str, str]:
    """A tensor of a `PublishedUNet`, or of a text UNet that shares its transformers → folder and name in its file.

    What is in no pair of transformers has no folder, `""`: it is the network's own.
    """
    parts = name.split(".")
    folder = next((part for part in parts if part in (IMAGE, TEXT)), "")
    return folder, ".".join(part for part in parts if part != folder)
