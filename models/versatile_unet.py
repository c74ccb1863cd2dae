"""A UNet with a set of context layers for text and one for pictures, mixed by a ratio; it knows nothing about its training.

Versatile Diffusion (arXiv 2211.08332, section 3.2): data layers are shared, each kind of context has transformers of its own.
Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from models.architecture import Architecture
from models.conditioning import Conditioning
from models.per_sample import per_sample
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
        return mixed(self.text, self.image, hidden_states, encoder_hidden_states, others)


def mixed(
    by_text: nn.Module, by_image: nn.Module, hidden: Tensor, context: MixedContext, others: Mapping[str, Any]
) -> tuple[Tensor]:
    """What both transformers make of a map `(N, C, h, w)`, mixed, alone in a tuple; one that is told nothing does not run."""
    arguments = {**others, "return_dict": False}
    if context.image is None:
        return cast(tuple[Tensor], by_text(hidden, context.text, **arguments))
    (image,) = by_image(hidden, context.image, **arguments)
    if context.text is None:
        return (image,)
    (text,) = by_text(hidden, context.text, **arguments)
    assert context.mix is not None, "text and pictures together need their mix"
    share = per_sample(context.mix.to(text.dtype))
    return (text * share + image * (1 - share),)


class VersatileUNet(UNet2DConditionModel):
    """diffusers' UNet, each of its transformers doubled: `text` and `image`. Its inputs are `Conditioning`'s fields."""

    mixer: type[nn.Module] = MixedTransformer
    """What holds two transformers in place of one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layers in transformer_lists(self):
            for index, layer in enumerate(layers):
                layers[index] = self.mixer(layer, type(layer)(**_arguments(layer)))

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


def transformer_lists(unet: Any) -> Iterator[Any]:
    """The lists of transformers of a UNet's blocks, in one order for all UNets of one plan."""
    for block in (*unet.down_blocks, *unet.up_blocks, *([] if unet.mid_block is None else [unet.mid_block])):
        if layers := getattr(block, "attentions", None):
            yield layers


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
