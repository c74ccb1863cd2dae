"""A pipeline's torch networks behind the inputs and outputs of their signatures; it knows nothing about ONNX or files.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from export.signature import conditioner_input
from models.attributes import attribute_examples
from models.labels import Input
from models.pipeline import Pipeline
from models.schedule import STUDENT_TIMESTEPS

PROMPTS = ("a cat", "a red heart", "an apple on blue", "a smiling face", "a tree", "", "two dogs", "the sun")


class Component(nn.Module):
    """Floats come in and go out as float32, whatever the network computes in."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def narrow(self, array: Tensor) -> Tensor:
        """To the network's own precision, if it has weights."""
        return array.to(next(self.network.parameters(), array).dtype)


class Conditioner(Component):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)`."""

    def forward(self, input_ids: Tensor) -> Tensor:
        return cast(Tensor, self.network(input_ids).encoder_hidden_states.float())


class Composer(Component):
    """`weights (N, A)` → `last_hidden_state (N, S, D)`."""

    def forward(self, weights: Tensor) -> Tensor:
        return cast(Tensor, self.network(weights).encoder_hidden_states.float())


CONDITIONERS: dict[str, type[Component]] = {"input_ids": Conditioner, "weights": Composer}
"""By what they take."""


class Denoiser(Component):
    """`sample (N, C, h, w)`, `timestep ()` int64, `encoder_hidden_states (N, S, D)` → `(N, C, h, w)`."""

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        hidden = self.narrow(encoder_hidden_states)
        return cast(Tensor, self.network(self.narrow(sample), timestep, hidden).sample.float())


class Decoder(Component):
    """`latent_sample (N, C, h, w)`, not scaled → `(N, 3, H, W)`."""

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_images(self.narrow(latent_sample)).float())


class Encoder(Component):
    """`sample (N, 3, H, W)` → `(N, C, h, w)`, not scaled."""

    def forward(self, sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_latents(self.narrow(sample)).float())


def components(pipeline: Pipeline) -> dict[str, Component]:
    """By the names of `export.signature.COMPONENTS`, cheapest first."""
    return {
        "conditioner": CONDITIONERS[conditioner_input(pipeline.task)](pipeline.conditioner),
        "decoder": Decoder(pipeline.autoencoder),
        "encoder": Encoder(pipeline.autoencoder),
        "denoiser": Denoiser(pipeline.denoiser),
    }


def inputs(pipeline: Pipeline, count: int) -> list[Input]:
    """`count` things that the pipeline can be asked for, going round."""
    known: Sequence[Input] = pipeline.classes or attribute_examples(pipeline.slots, count) or PROMPTS
    return [known[index % len(known)] for index in range(count)]


@torch.no_grad()
def examples(pipeline: Pipeline, batch: int, scale: float = 1) -> dict[str, dict[str, Tensor]]:
    """Random inputs of every component; heights and widths are `scale` times the pipeline's own."""
    draw = torch.Generator().manual_seed(batch)
    channels, *latent_sides = pipeline.latent_shape
    latent = torch.randn(batch, channels, *(int(side * scale) for side in latent_sides), generator=draw)
    columns, rows = image_size(pipeline)
    image = torch.rand(batch, 3, int(rows * scale), int(columns * scale), generator=draw) * 2 - 1
    ids = pipeline.conditioner.tokenize(inputs(pipeline, batch))  # type: ignore[operator]
    hidden = pipeline.conditioner(ids).encoder_hidden_states
    return {
        "conditioner": {conditioner_input(pipeline.task): ids},
        "decoder": {"latent_sample": latent / scaling_factor(pipeline)},
        "encoder": {"sample": image},
        "denoiser": {
            "sample": latent,
            "timestep": torch.tensor(STUDENT_TIMESTEPS[1][0]),
            "encoder_hidden_states": hidden,
        },
    }


@torch.no_grad()
def image_size(pipeline: Pipeline) -> tuple[int, int]:
    """(W, H) of the pipeline's images."""
    image = pipeline.autoencoder.decode(torch.zeros(1, *pipeline.latent_shape))  # type: ignore[operator]
    return image.shape[3], image.shape[2]


def side_multiple(pipeline: Pipeline) -> int:
    """Pixels that widths and heights must be multiples of: a latent's, as often as the UNet halves them."""
    halvings = len(pipeline.denoiser.config["block_out_channels"]) - 1  # type: ignore[index]
    return int(image_size(pipeline)[1] // pipeline.latent_shape[1] * 2**halvings)


def at_size(pipeline: Pipeline, size: tuple[int, int]) -> Pipeline:
    """The same networks, drawing images of another size (W, H)."""
    width, height = image_size(pipeline)
    channels, rows, columns = pipeline.latent_shape
    return replace(pipeline, latent_shape=(channels, size[1] * rows // height, size[0] * columns // width))


def scaling_factor(pipeline: Pipeline) -> float:
    """The decoder's graph takes latents divided by it."""
    return float(pipeline.autoencoder.scaling_factor)  # type: ignore[arg-type]
