"""The text network of Versatile Diffusion as published: fully connected blocks around the image network's transformers.

Levels change the width alone; a text's hidden `(C, 4, 1)` goes through the same transformers as a picture of four pixels
(arXiv 2211.08332, section 3.3). It knows no training. Shapes: `N` batch, `L` numbers of a text, `S` tokens, `T` tokens
of two pictures, `D` width.
"""

from __future__ import annotations

from typing import Any, cast

from diffusers import ConfigMixin, ModelMixin
from torch import Tensor, nn

from base.errors import BadInput
from models.published_unet import PublishedUNet, filled
from models.versatile_unet import MixedContext, transformer_lists

try:
    from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import UNetFlatConditionModel
except ImportError:  # diffusers means to drop what is deprecated: all else still opens

    class UNetFlatConditionModel(ModelMixin, ConfigMixin):  # type: ignore[no-redef]
        """In the place of the class that is gone: says so when it is opened."""

        config_name = "config.json"

        def __init__(self, **plan: Any) -> None:
            raise BadInput("this diffusers has no UNetFlatConditionModel any more; accepted: diffusers>=0.40,<0.43")


__all__ = ["PublishedTextUNet", "UNetFlatConditionModel"]


class PublishedTextUNet(UNetFlatConditionModel):  # type: ignore[misc]
    """diffusers' flat UNet, of which `share` replaces the transformers by an image UNet's pairs."""

    def share(self, image: PublishedUNet) -> None:
        """Take the transformers of an image UNet of the same plan. BadInput: it has another."""
        ours, theirs = (list(transformer_lists(unet)) for unet in (self, image))
        if [len(layers) for layers in ours] != [len(layers) for layers in theirs]:
            raise BadInput("text_unet has other blocks than image_unet; accepted: the same plan")
        for mine, shared in zip(ours, theirs, strict=True):
            for index, pair in enumerate(shared):
                mine[index] = cast(nn.Module, pair)

    def forward(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor | None = None,
        image_embeds: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Any:
        """Sample `(N, L, 1, 1)`, text `(N, S, D)`, pictures `(N, T, D)`, share of the text `(N,)` → `.sample (N, L, 1, 1)`."""
        context = MixedContext(encoder_hidden_states, filled(image_embeds), mix)
        return super().forward(sample, timestep, context)
