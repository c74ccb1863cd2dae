"""The text network of Versatile Diffusion as published: fully connected blocks around the image network's transformers.

Levels change the width alone; a text's hidden `(C, 4, 1)` goes through the same transformers as a picture of four pixels
(arXiv 2211.08332, section 3.3). It knows no training. Shapes: `N` batch, `L` numbers of a text, `S` tokens, `T` tokens
of two pictures, `D` width, `C` channels.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self, cast

from diffusers import ConfigMixin, ModelMixin
from torch import Tensor, nn

from base.errors import BadInput
from models.architecture import Architecture
from models.conditioning import Conditioning
from models.published_unet import PublishedArchitecture, PublishedUNet, filled
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
    """diffusers' flat UNet, of which `share` replaces the transformers by an image UNet's pairs.

    These learn with the image flow alone: whatever the text flow learns, both stay parts of one folder.
    """

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all but the transformers learn, or nothing."""
        super().requires_grad_(requires_grad)
        for layers in transformer_lists(self):
            layers.requires_grad_(False)
        return self

    def add_adapter(self, *_: Any, **__: Any) -> None:
        """BadInput: the layers that learn are none that an adapter is for."""
        raise BadInput("lora: of the published text flow the fully connected layers learn; accepted: no lora")

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


class PublishedTextArchitecture(PublishedArchitecture):
    """The inside of a `PublishedTextUNet`, whose maps are `(N, C, 4, 1)`."""

    def __init__(self, unet: PublishedTextUNet) -> None:
        super().__init__(cast(Any, unet))
        self.side_multiple = 1

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(L, 1, 1)`."""
        size, *_ = self.config["in_channels"]
        return int(size), 1, 1

    def feature_maps(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Maps `(N, C_i, 4, 1)` of every encoder block before its width changes, and of the middle block.

        It runs the encoder alone, on noisy texts `(N, L, 1, 1)` at timesteps `(N,)`.
        """
        unet: Any = self.unet
        context, _ = self.split(conditioning)
        return self.encoder_maps(sample, unet.time_embedding(unet.time_proj(timesteps).to(sample.dtype)), context)

    def last_weight(self) -> nn.Parameter:
        """The last layer's weights `(L, 4·C)`."""
        return cast(nn.Parameter, self.unet.conv_out.weight)

    def reduced(self, changes: Mapping[str, Any] | str) -> nn.Module:
        """An equal copy. BadInput: any change."""
        if changes:
            raise BadInput(f"reduce: {changes} is nothing for the published text flow; accepted: none")
        return copy.deepcopy(self.unet)

    def fresh(self) -> nn.Module:
        """Another of the same configuration with random weights, but for the transformers."""
        other: PublishedTextUNet = PublishedTextUNet.from_config(self.config)
        other.share(cast(Any, copy.deepcopy(self.unet)))
        return other


def view(unet: PublishedTextUNet) -> Architecture:
    """The inside of one."""
    return PublishedTextArchitecture(unet)


def make(config: Mapping[str, Any]) -> PublishedTextUNet:
    """One with random weights, and transformers of its own until it shares an image UNet's."""
    return cast(PublishedTextUNet, PublishedTextUNet.from_config(dict(config)))
