"""A UNet with a set of context layers for text and one for pictures, mixed by a ratio; it knows nothing about its training.

Versatile Diffusion (arXiv 2211.08332, section 3.2): data layers are shared, each kind of context has transformers of its own.
Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from models.architecture import Architecture
from models.conditioning import Conditioning
from models.unet import UNetArchitecture

PICTURE_TOKENS = 8
"""T of the example inputs."""


class MixedContext(NamedTuple):
    """What conditions one call; whichever is none is not computed."""

    text: Tensor | None = None  # (N, S, D)
    image: Tensor | None = None  # (N, T, D)
    mix: Tensor | None = None  # (N,): share of the text


class MixedTransformer(nn.Module):
    """`mix·text_layer(h, text) + (1 − mix)·image_layer(h, image)`: mixing at the attention level (section 3.4)."""

    def __init__(self, text: nn.Module, image: nn.Module) -> None:
        super().__init__()
        self.text, self.image = text, image

    def forward(self, hidden_states: Tensor, encoder_hidden_states: MixedContext, **others: Any) -> tuple[Tensor]:
        """A map `(N, C, h, w)` under its contexts → one of the same shape, alone in a tuple."""
        context = encoder_hidden_states
        others["return_dict"] = False
        if context.image is None:
            return cast(tuple[Tensor], self.text(hidden_states, context.text, **others))
        (by_image,) = self.image(hidden_states, context.image, **others)
        if context.text is None:
            return (by_image,)
        (by_text,) = self.text(hidden_states, context.text, **others)
        assert context.mix is not None, "text and pictures together need their mix"
        share = context.mix.to(by_text.dtype)[:, None, None, None]
        return (by_text * share + by_image * (1 - share),)


class VersatileUNet(UNet2DConditionModel):
    """diffusers' UNet, each of its transformers doubled: `text` and `image`. Its inputs are `Conditioning`'s fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        blocks = [*self.down_blocks, *self.up_blocks, *([self.mid_block] if self.mid_block is not None else [])]
        for block in blocks:
            layers = getattr(block, "attentions", None) or []
            for index, layer in enumerate(layers):
                layers[index] = MixedTransformer(layer, type(layer)(**_arguments(layer)))

    def forward(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor | None = None,
        image_embeds: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Any:
        """Sample `(N, C, h, w)`, text `(N, S, D)`, pictures `(N, T, D)`, share of the text `(N,)` → `.sample (N, C, h, w)`.

        Text or pictures alone need no mix, and the other's layers are not computed.
        """
        return super().forward(sample, timestep, MixedContext(encoder_hidden_states, image_embeds, mix))

    @torch.no_grad()
    def copy_text_layers(self) -> None:
        """Let the layers for pictures begin as those for text: both contexts share a space."""
        for module in self.modules():
            if isinstance(module, MixedTransformer):
                module.image.load_state_dict(module.text.state_dict())


def _arguments(layer: nn.Module) -> dict[str, Any]:
    """What another transformer like `layer` is made of."""
    config: Mapping[str, Any] = cast(Any, layer).config
    return {name: value for name, value in config.items() if not name.startswith("_")}


# The configuration's keys are read from the constructor's signature: it is the one of the class above.
functools.update_wrapper(VersatileUNet.__init__, UNet2DConditionModel.__init__)


class VersatileArchitecture(UNetArchitecture):
    """The inside of a `VersatileUNet`."""

    def split(self, conditioning: Conditioning) -> tuple[Any, dict[str, Any]]:
        """All contexts are what the blocks attend to; the time embedding takes none of them. Arrays are `(N, …)`."""
        return MixedContext(conditioning.encoder_hidden_states, conditioning.image_embeds, conditioning.mix), {}

    def example_inputs(self, batch: int) -> tuple[Tensor, Conditioning]:
        """Zeros: a sample `(batch, C, h, w)`, text `(batch, S, D)`, pictures `(batch, T, D)`, their mix `(batch,)`."""
        sample, text = super().example_inputs(batch)
        pictures = torch.zeros(batch, PICTURE_TOKENS, self.text_width)
        return sample, Conditioning(text.encoder_hidden_states, image_embeds=pictures, mix=torch.ones(batch))


def view(unet: VersatileUNet) -> Architecture:
    """The inside of a UNet with two sets of context layers."""
    return VersatileArchitecture(unet)


def make(config: Mapping[str, Any]) -> VersatileUNet:
    """One with random weights."""
    return cast(VersatileUNet, VersatileUNet.from_config(dict(config)))
