"""diffusers' `SanaTransformer2DModel`, as a denoiser of the trigonometric schedule; it trains and samples nothing.

The network itself was taught flow matching, `x_t = (1 − t)·x0 + t·ε`, and gives `ε − x0`. With t = σ/(α + σ) its sample is
that of the trigonometric schedule, `α·x0 + σ·ε` with α = cos and σ = sin of an angle, but for a factor; and its output becomes
`v = α·ε − σ·x0` without loss (SANA-Sprint, arXiv 2503.09641, section 3.1). So schedule, samplers and terms see a v-prediction.
Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from diffusers import SanaTransformer2DModel
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from models import reduce
from models.architecture import Architecture, hooked, squared_error
from models.conditioning import Conditioning
from models.per_sample import per_sample
from models.schedule import TRIGONOMETRIC_STEPS

TOKENS = 300
"""S of the released models."""
GUIDANCE = 4.5
"""What a network with an embedding of guidance (SANA-Sprint's) is told, as stock pipelines do by default."""


class TrigonometricTransformer(SanaTransformer2DModel):
    """The same weights, called as every denoiser is: a sample of the trigonometric schedule, and the index of its timestep."""

    def forward(
        self, sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, encoder_attention_mask: Tensor
    ) -> Any:
        """Sample `(N, C, h, w)` at timestep(s) `()` or `(N,)`, text `(N, S, D)`, mask `(N, S)` → v, `.sample (N, C, h, w)`."""
        for array in (encoder_hidden_states, encoder_attention_mask):  # torch's exporter does not find it out by itself
            torch._check(array.shape[0] == sample.shape[0])
        angle = trigonometric_angle(torch.as_tensor(timestep, device=sample.device)).expand(sample.shape[0])
        time = angle.sin() / (angle.sin() + angle.cos())
        rows = per_sample(time).to(sample.dtype)
        norm = (rows.square() + (1 - rows).square()).sqrt()  # 1/(α + σ)
        flow = super().forward(
            sample * norm,
            encoder_hidden_states,
            time * self.time_scale,
            guidance=self._guidance(sample),
            encoder_attention_mask=encoder_attention_mask,
        )
        velocity = (1 - 2 * rows) * (sample * norm) + (1 - 2 * rows + 2 * rows.square()) * flow.sample
        return Transformer2DModelOutput(sample=velocity / norm)

    @property
    def time_scale(self) -> float:
        """What t in [0, 1] is multiplied by: 1,000 as SANA was released, 1 in SANA-Sprint."""
        return 1000.0 * float(self.config["timestep_scale"])

    def _guidance(self, sample: Tensor) -> Tensor | None:
        if not self.config["guidance_embeds"]:
            return None
        value = GUIDANCE * float(self.config["guidance_embeds_scale"])
        return torch.full((sample.shape[0],), value, device=sample.device, dtype=sample.dtype)


def trigonometric_angle(timestep: Tensor) -> Tensor:
    """Index `()` or `(N,)` → angle in (0, π/2]: the last timestep is pure noise."""
    return (timestep.float() + 1) * (math.pi / 2 / TRIGONOMETRIC_STEPS)


def make(config: Mapping[str, Any]) -> TrigonometricTransformer:
    """A transformer with random weights."""
    return cast(TrigonometricTransformer, TrigonometricTransformer.from_config(dict(config)))


class SanaArchitecture:
    """The inside of a `SanaTransformer2DModel`; its methods are those of `models.architecture.Architecture`."""

    def __init__(self, transformer: SanaTransformer2DModel) -> None:
        self.transformer: Any = transformer
        self.config: Mapping[str, Any] = transformer.config
        width = int(self.config["num_attention_heads"]) * int(self.config["attention_head_dim"])
        self.side_multiple = int(self.config["patch_size"])
        self.feature_blocks = _spread(len(self.transformer.transformer_blocks))
        self.widths: tuple[int, ...] = (width,)
        self.feature_channels = (width,) * len(self.feature_blocks)
        self.interface = {key: self.config[key] for key in ("in_channels", "out_channels", "caption_channels")}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, h, w)`."""
        side = int(self.config["sample_size"])
        return int(self.config["in_channels"]), side, side

    @property
    def text_width(self) -> int:
        """D, the width of `encoder_hidden_states` `(N, S, D)`."""
        return int(self.config["caption_channels"])

    def feature_maps(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Maps `(N, D, h/p, w/p)` after a quarter, a half, three quarters and all of the blocks; p: patch size."""
        with self.stage_maps() as maps:
            self.transformer(sample, timesteps, **conditioning.arrays())
        return [maps[f"block {index}"] for index in self.feature_blocks]

    def stage_maps(self) -> AbstractContextManager[dict[str, Tensor]]:
        """`block I` → the map `(N, D, h/p, w/p)` after it."""
        maps: dict[str, Tensor] = {}
        sides: list[int] = []

        def store(index: int) -> Any:
            def hook(block: nn.Module, inputs: Any, output: Tensor) -> None:
                maps[f"block {index}"] = output.transpose(1, 2).unflatten(2, (sides[-1], -1))

            return hook

        def measure(module: nn.Module, inputs: tuple[Tensor]) -> None:
            sides.append(inputs[0].shape[2] // self.side_multiple)

        blocks = self.transformer.transformer_blocks
        hooks = [self.transformer.patch_embed.register_forward_pre_hook(measure)]
        hooks += [block.register_forward_hook(store(index)) for index, block in enumerate(blocks)]
        return hooked(maps, hooks)

    def last_weight(self) -> nn.Parameter:
        """The last layer's weights `(p·p·C, D)`."""
        return cast(nn.Parameter, self.transformer.proj_out.weight)

    def error(self, output: Any, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of a prediction `(N, C, h, w)`: one number a sample `(N,)`."""
        return squared_error(prediction, target)

    def example_inputs(self, batch: int) -> tuple[Tensor, Conditioning]:
        """Zeros: a sample `(batch, C, h, w)`, text `(batch, S, D)`; a mask of ones `(batch, S)`."""
        text = torch.zeros(batch, TOKENS, self.text_width)
        sample = torch.zeros(batch, *self.latent_shape)
        return sample, Conditioning(encoder_hidden_states=text, encoder_attention_mask=torch.ones(batch, TOKENS))

    def reduced(self, changes: Mapping[str, Any] | str) -> nn.Module:
        """A copy with `changes` to the configuration, as fewer `num_layers`, of which the first stay. BadInput: as `reduce`."""
        return reduce.reduced(self.transformer, changes)

    def fresh(self) -> nn.Module:
        """A transformer of the same configuration with random weights."""
        return make(self.config)

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass: diffusers' gradient checkpointing."""
        self.transformer.enable_gradient_checkpointing()

    def use_plain_attention(self) -> None:
        """Nothing: linear attention is written out, and attention to the text has no long rows."""


def view(transformer: SanaTransformer2DModel) -> Architecture:
    """The inside of a transformer."""
    return SanaArchitecture(transformer)


def _spread(blocks: int) -> tuple[int, ...]:
    """Up to four blocks, evenly spread, the last among them."""
    return tuple(sorted({max(1, round(blocks * quarter / 4)) - 1 for quarter in (1, 2, 3, 4)}))
