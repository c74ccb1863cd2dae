"""diffusers' conditional UNet: what is inside, and the variant with pooled text and sizes; it knows nothing about its training.

Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from base.errors import BadInput
from models import reduce
from models.architecture import TOKENS, Architecture, hooked, squared_error
from models.conditioning import Conditioning

INTERFACE = ("in_channels", "out_channels", "cross_attention_dim", "addition_embed_type", "class_embed_type")
"""Keys of the configuration that decide what a UNet takes and gives."""


class TextTimeUNet(UNet2DConditionModel):
    """The UNet of SDXL (`addition_embed_type: text_time`), whose further inputs have the names of `Conditioning`'s fields."""

    def forward(
        self, sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, text_embeds: Tensor, time_ids: Tensor
    ) -> Any:
        """Sample `(N, C, h, w)`, text `(N, S, D)`, pooled text `(N, D2)`, sizes `(N, 6)` → output `.sample (N, C, h, w)`."""
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        return super().forward(sample, timestep, encoder_hidden_states, added_cond_kwargs=added)


def make(config: Mapping[str, Any]) -> UNet2DConditionModel:
    """A UNet with random weights, of the class that its inputs need."""
    kind = TextTimeUNet if config.get("addition_embed_type") == "text_time" else UNet2DConditionModel
    return cast(UNet2DConditionModel, kind.from_config(dict(config)))


class UNetArchitecture:
    """The inside of a `UNet2DConditionModel`; its methods are those of `models.architecture.Architecture`."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.unet = unet
        self.config: Mapping[str, Any] = unet.config
        self.widths = tuple(int(width) for width in self.config["block_out_channels"])
        middle = [] if unet.mid_block is None else [self.widths[-1]]
        self.feature_channels = (*self.widths, *middle)
        self.side_multiple = 2 ** (len(self.widths) - 1)
        self.interface = {key: self.config.get(key) for key in INTERFACE}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, h, w)`. BadInput: its `sample_size` is not one number."""
        return latent_shape(self.config)

    @property
    def text_width(self) -> int:
        """D, the width of `encoder_hidden_states` `(N, S, D)`."""
        return int(self.config["cross_attention_dim"])

    def feature_maps(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Maps `(N, C_i, h_i, w_i)` of every encoder block before its downsampling, and of the middle block.

        It runs the encoder alone, on noisy latents `(N, C, h, w)` at timesteps `(N,)`.
        """
        unet: Any = self.unet
        text, added = self.split(conditioning)
        embedding = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=timesteps))
        further = unet.get_aug_embed(embedding, text, added_cond_kwargs=added)
        return self.encoder_maps(sample, embedding if further is None else embedding + further, text)

    def encoder_maps(self, sample: Tensor, embedding: Tensor, context: Any) -> list[Tensor]:
        """The same, from what embeds the timesteps, `(N, E)`, and what blocks attend to."""
        unet: Any = self.unet
        hidden, maps = unet.conv_in(sample), []
        for block in unet.down_blocks:
            attended = {"encoder_hidden_states": context} if getattr(block, "has_cross_attention", False) else {}
            hidden, outputs = block(hidden_states=hidden, temb=embedding, **attended)
            maps.append(outputs[len(block.resnets) - 1])
        if unet.mid_block is not None:
            maps.append(unet.mid_block(hidden, embedding, encoder_hidden_states=context))
        return maps

    def split(self, conditioning: Conditioning) -> tuple[Any, dict[str, Any]]:
        """What blocks attend to, `(N, S, D)`, and by name what the time embedding takes besides, `(N, …)`."""
        added = conditioning.arrays()
        return added.pop("encoder_hidden_states"), added

    def stage_maps(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Stage → map `(N, C_i, h_i, w_i)`: `down 0` is the first, `middle`, `up 0` the last.

        An encoder's map is that before it is downsampled. The outermost stages have the same names in a UNet of fewer stages.
        """
        maps: dict[str, Tensor] = {}
        hooks = [
            block.register_forward_hook(_into(maps, name, len(block.resnets))) for name, block in self._stages().items()
        ]
        return hooked(maps, hooks)

    def last_weight(self) -> nn.Parameter:
        """The last convolution's weights `(C, width, 3, 3)`."""
        return cast(nn.Parameter, self.unet.conv_out.weight)

    def error(self, output: Any, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of a prediction `(N, C, h, w)`: one number a sample `(N,)`."""
        return squared_error(prediction, target)

    def example_inputs(self, batch: int) -> tuple[Tensor, Conditioning]:
        """Zeros: a sample `(batch, C, h, w)`, text `(batch, S, D)`, and with `text_time` pooled text and sizes."""
        sample, text = torch.zeros(batch, *self.latent_shape), torch.zeros(batch, TOKENS, self.text_width)
        if self.config.get("addition_embed_type") != "text_time":
            return sample, Conditioning(encoder_hidden_states=text)
        pooled = self.config["projection_class_embeddings_input_dim"] - 6 * self.config["addition_time_embed_dim"]
        return sample, Conditioning(text, torch.zeros(batch, pooled), torch.zeros(batch, 6))

    def reduced(self, changes: Mapping[str, Any] | str) -> nn.Module:
        """A block-reduced copy (`models/reduce.py`). BadInput: changes that no UNet can have."""
        return reduce.reduced(self.unet, changes)

    def fresh(self) -> nn.Module:
        """A UNet of the same class and configuration with random weights."""
        return cast(nn.Module, type(self.unet).from_config(self.config))

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass: diffusers' gradient checkpointing."""
        self.unet.enable_gradient_checkpointing()

    def use_plain_attention(self) -> None:
        """diffusers' `AttnProcessor`, the one without torch's fused kernels."""
        self.unet.set_attn_processor(AttnProcessor())

    def _stages(self) -> dict[str, Any]:
        unet: Any = self.unet
        stages = {f"down {index}": block for index, block in enumerate(unet.down_blocks)}
        middle = {} if unet.mid_block is None else {"middle": unet.mid_block}
        return stages | middle | {f"up {index}": block for index, block in enumerate(reversed(unet.up_blocks))}


def view(unet: UNet2DConditionModel) -> Architecture:
    """The inside of a UNet."""
    return UNetArchitecture(unet)


def latent_shape(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """`(C, h, w)` of the samples of a UNet of this configuration. BadInput: its `sample_size` is not one number."""
    side = config["sample_size"]
    if not isinstance(side, int):
        raise BadInput(f"the denoiser's sample_size must be one number, got {side}")
    return config["in_channels"], side, side


def _into(maps: dict[str, Tensor], name: str, layers: int) -> Callable[[nn.Module, Any, Any], None]:
    """A hook that stores a block's map; of an encoder's, which gives several, the one after its last layer."""

    def store(block: nn.Module, inputs: Any, output: Any) -> None:
        maps[name] = output[1][layers - 1] if isinstance(output, tuple) else output

    return store
