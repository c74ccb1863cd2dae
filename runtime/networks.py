"""A pipeline's torch networks behind the inputs and outputs of their signatures; it knows nothing about ONNX or files.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes, `D` width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from models.schedule import STUDENT_TIMESTEPS
from models.task import ConditionerInput, task_of
from runtime.signature import COMPONENTS, conditioner_input, graph_outputs


class Component(nn.Module):
    """Floats come in and go out as float32, whatever the network computes in."""

    graph: str
    """Its name in `COMPONENTS`."""

    def __init__(self, network: Any, outputs: tuple[str, ...] = ()) -> None:
        """`outputs`: names of what `forward` gives where it is a tuple of several tensors."""
        super().__init__()
        self.network = network
        self.outputs = outputs or (COMPONENTS[self.graph].output,)

    def narrow(self, array: Tensor) -> Tensor:
        """An array `(N, …)` in the network's own precision, if it has weights."""
        return array.to(next(self.network.parameters(), array).dtype)


class ConditionerGraph(Component):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)`, or all that the denoiser takes of the conditioner."""

    graph = "conditioner"

    def forward(self, input_ids: Tensor) -> Any:
        return _outputs(self.network(input_ids))


class ComposerGraph(Component):
    """`weights (N, A)` → `last_hidden_state (N, S, D)`."""

    graph = "conditioner"

    def forward(self, weights: Tensor) -> Any:
        return _outputs(self.network(weights))


def _outputs(conditioning: Conditioning) -> Any:
    """The arrays of a conditioning in float32: one tensor, or a tuple of several in the order of their names."""
    arrays = tuple(array.float() for array in conditioning.arrays().values())
    return arrays if len(arrays) > 1 else arrays[0]


CONDITIONERS: dict[ConditionerInput, type[Component]] = {"input_ids": ConditionerGraph, "weights": ComposerGraph}
"""By what they take."""


class DenoiserGraph(Component):
    """`sample (N, C, h, w)`, `timestep ()` int64, `encoder_hidden_states (N, S, D)`, what else it takes → `(N, C, h, w)`."""

    graph = "denoiser"

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
    ) -> Tensor:
        hidden, added = self.narrow(encoder_hidden_states), {"text_embeds": text_embeds, "time_ids": time_ids}
        added["encoder_attention_mask"] = encoder_attention_mask
        present = {name: array for name, array in added.items() if array is not None}  # the network narrows them itself
        return cast(Tensor, self.network(self.narrow(sample), timestep, hidden, **present).sample.float())


class DecoderGraph(Component):
    """`latent_sample (N, C, h, w)`, not scaled → `(N, 3, H, W)`."""

    graph = "decoder"

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_images(self.narrow(latent_sample)).float())


class EncoderGraph(Component):
    """`sample (N, 3, H, W)` → `(N, C, h, w)`, not scaled."""

    graph = "encoder"

    def forward(self, sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_latents(self.narrow(sample)).float())


def components(pipeline: Pipeline) -> dict[str, Component]:
    """By the names of `runtime.signature.COMPONENTS`, cheapest first."""
    conditioner = CONDITIONERS[conditioner_input(pipeline.task)]
    return {
        "conditioner": conditioner(pipeline.conditioner, graph_outputs("conditioner", conditioning_names(pipeline))),
        "decoder": DecoderGraph(pipeline.autoencoder),
        "encoder": EncoderGraph(pipeline.autoencoder),
        "denoiser": DenoiserGraph(pipeline.denoiser),
    }


@torch.no_grad()
def conditioning_names(pipeline: Pipeline) -> tuple[str, ...]:
    """What the denoiser takes of the conditioner, by the names of `Conditioning`'s fields."""
    return tuple(pipeline.condition([pipeline.null_input]).arrays())


def as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    """What a component gives, one tensor `(N, …)` or several, as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


@torch.no_grad()
def examples(pipeline: Pipeline, batch: int, scale: float = 1) -> dict[str, dict[str, Tensor]]:
    """Random inputs `(N, …)` of every component, N = `batch`; heights and widths are `scale` times the pipeline's own."""
    draw = torch.Generator().manual_seed(batch)
    channels, *latent_sides = pipeline.latent_shape
    latent = torch.randn(batch, channels, *(int(side * scale) for side in latent_sides), generator=draw)
    columns, rows = image_size(pipeline)
    image = torch.rand(batch, 3, int(rows * scale), int(columns * scale), generator=draw) * 2 - 1
    ids = pipeline.conditioner.tokenize(task_of(pipeline).examples(batch))
    conditioning = pipeline.conditioner(ids)
    return {
        "conditioner": {conditioner_input(pipeline.task): ids},
        "decoder": {"latent_sample": latent / scaling_factor(pipeline)},
        "encoder": {"sample": image},
        "denoiser": {
            "sample": latent,
            "timestep": torch.tensor(STUDENT_TIMESTEPS[1][0]),
            **conditioning.arrays(),
        },
    }


@torch.no_grad()
def image_size(pipeline: Pipeline) -> tuple[int, int]:
    """(W, H) of the pipeline's images."""
    image = pipeline.autoencoder.decode(torch.zeros(1, *pipeline.latent_shape))
    return image.shape[3], image.shape[2]


def side_multiple(pipeline: Pipeline) -> int:
    """Pixels that widths and heights must be multiples of: a latent's, times what the denoiser asks of its sides."""
    return int(image_size(pipeline)[1] // pipeline.latent_shape[1] * architecture(pipeline.denoiser).side_multiple)


def at_size(pipeline: Pipeline, size: tuple[int, int]) -> Pipeline:
    """The same networks, drawing images of another size (W, H)."""
    width, height = image_size(pipeline)
    channels, rows, columns = pipeline.latent_shape
    return replace(pipeline, latent_shape=(channels, size[1] * rows // height, size[0] * columns // width))


def scaling_factor(pipeline: Pipeline) -> float:
    """The decoder's graph takes latents divided by it."""
    return float(pipeline.autoencoder.scaling_factor)
