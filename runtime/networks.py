"""A pipeline's torch networks behind the inputs and outputs of their signatures; it knows nothing about ONNX or files.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `T` tokens of
a picture, `A` attributes, `D` width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from models.schedule import STUDENT_TIMESTEPS
from models.task import ConditionerInput, DirectInput, task_named, task_of
from runtime.signature import SIGNATURES, conditioner_inputs, graph_outputs


class Component(nn.Module):
    """Floats come in and go out as float32, whatever the network computes in."""

    graph: str
    """Its name in `SIGNATURES`."""

    def __init__(self, network: Any, outputs: tuple[str, ...] = ()) -> None:
        """`outputs`: names of what `forward` gives where it is a tuple of several tensors."""
        super().__init__()
        self.network = network
        self.outputs = outputs or (SIGNATURES[self.graph].output,)

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


class PromptGraph(Component):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)`, of a conditioner that takes pictures besides."""

    graph = "conditioner"

    def __init__(self, conditioner: Any, outputs: tuple[str, ...] = ()) -> None:
        super().__init__(conditioner.text_encoder, outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        return cast(Tensor, self.network(input_ids).last_hidden_state.float())


class SeenGraph(Component):
    """`image_embeds (N, T, D)`, `column (N,)` → `last_hidden_state (N, T + 1, D)`."""

    graph = "conditioner"

    def __init__(self, conditioner: Any, outputs: tuple[str, ...] = ()) -> None:
        super().__init__(conditioner.columns, outputs)

    def forward(self, image_embeds: Tensor, column: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.narrow(image_embeds), column).float())


class ImageEncoderGraph(Component):
    """`pixel_values (N, 3, H, W)` → `image_embeds (N, T, D)`."""

    graph = "image_encoder"

    def forward(self, pixel_values: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.narrow(pixel_values)).float())


Takes = tuple[tuple[ConditionerInput, ...], tuple[DirectInput, ...]]
CONDITIONERS: dict[Takes, type[Component]] = {
    (("input_ids",), ()): ConditionerGraph,
    (("weights",), ()): ComposerGraph,
    (("input_ids",), ("image_embeds", "mix")): PromptGraph,
    (("image_embeds", "column"), ()): SeenGraph,
}
"""By what they take, and what the denoiser takes besides."""


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
        image_embeds: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        hidden, added = self.narrow(encoder_hidden_states), {"text_embeds": text_embeds, "time_ids": time_ids}
        added["encoder_attention_mask"] = encoder_attention_mask
        added |= {"image_embeds": None if image_embeds is None else self.narrow(image_embeds), "mix": mix}
        present = {name: array for name, array in added.items() if array is not None}  # the network narrows them itself
        return cast(Tensor, self.network(self.narrow(sample), timestep, hidden, **present).sample.float())


class DecoderGraph(Component):
    """`latent_sample (N, C, h, w)`, not scaled → `(N, 3, H, W)`."""

    graph = "decoder"

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.from_latents(self.narrow(latent_sample)).float())


class TokenDecoderGraph(Component):
    """`latent_sample (N, C, 1, S)` → token ids `(N, S)` int64."""

    graph = "decoder"

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.from_latents(self.narrow(latent_sample)))


DECODERS: dict[str, type[Component]] = {"image": DecoderGraph, "text": TokenDecoderGraph}
"""By what comes out of the task."""


class EncoderGraph(Component):
    """`sample (N, 3, H, W)` → `(N, C, h, w)`, not scaled."""

    graph = "encoder"

    def forward(self, sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_latents(self.narrow(sample)).float())


def components(pipeline: Pipeline) -> dict[str, Component]:
    """By the names of `runtime.signature.COMPONENTS`, cheapest first; what writes has no encoder."""
    task = task_named(pipeline.task)
    conditioner = CONDITIONERS[task.conditioner_inputs, task.direct_inputs]
    outputs = graph_outputs("conditioner", pipeline.task, conditioning_names(pipeline))
    return {
        "conditioner": conditioner(pipeline.conditioner, outputs),
        "decoder": DECODERS[task.output](pipeline.autoencoder),
        **({"encoder": EncoderGraph(pipeline.autoencoder)} if task.output == "image" else {}),
        "denoiser": DenoiserGraph(pipeline.denoiser),
    }


@torch.no_grad()
def conditioning_names(pipeline: Pipeline) -> tuple[str, ...]:
    """What the denoiser takes of the conditioner, by the names of `Conditioning`'s fields."""
    direct = task_named(pipeline.task).direct_inputs
    return tuple(name for name in pipeline.condition([pipeline.null_input]).arrays() if name not in direct)


def shared(pipeline: Pipeline) -> dict[str, Component]:
    """By the names of `runtime.signature.SHARED`: what the flows of its folder have in common besides."""
    encoder = getattr(pipeline.conditioner, "image_encoder", None)
    return {} if encoder is None else {"image_encoder": ImageEncoderGraph(encoder)}


def conditioned(pipeline: Pipeline, inputs: Mapping[str, Tensor]) -> Conditioning:
    """Inputs `(N, …)` of the conditioner and the denoiser by name → the whole conditioning."""
    conditioner: Any = pipeline.conditioner
    if hasattr(conditioner, "contexts"):
        return cast(Conditioning, conditioner.contexts(**inputs))
    (ids,) = inputs.values()
    return cast(Conditioning, conditioner(ids))


def conditioner_arrays(pipeline: Pipeline, rows: Tensor) -> dict[str, Tensor]:
    """What `tokenize` gives, ids `(N, S)` or rows `(N, R)` → all inputs of the conditioner and the denoiser by name."""
    names = (*conditioner_inputs(pipeline.task), *task_named(pipeline.task).direct_inputs)
    unpack = getattr(pipeline.conditioner, "unpack", None)
    arrays: dict[str, Tensor] = dict(zip(names, [rows], strict=True)) if unpack is None else unpack(rows)
    return {name: arrays[name] for name in names}


def as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    """What a component gives, one tensor `(N, …)` or several, as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


@torch.no_grad()
def examples(pipeline: Pipeline, batch: int, scale: float = 1) -> dict[str, dict[str, Tensor]]:
    """Random inputs `(N, …)` of every component, N = `batch`; heights and widths are `scale` times the pipeline's own.

    Captions have one length, whatever the scale.
    """
    draw = torch.Generator().manual_seed(batch)
    channels, *latent_sides = pipeline.latent_shape
    scale = resizable(pipeline, scale)
    latent = torch.randn(batch, channels, *(int(side * scale) for side in latent_sides), generator=draw)
    columns, rows = image_size(pipeline)
    image = torch.rand(batch, 3, int(rows * scale), int(columns * scale), generator=draw) * 2 - 1
    ids = pipeline.conditioner.tokenize(task_of(pipeline).examples(batch))
    conditioning, given = pipeline.conditioner(ids), conditioner_arrays(pipeline, ids)
    side = picture_side(pipeline)
    return {
        "conditioner": {name: given[name] for name in conditioner_inputs(pipeline.task)},
        "decoder": {"latent_sample": latent / scaling_factor(pipeline)},
        "encoder": {"sample": image},
        "image_encoder": {"pixel_values": torch.rand(batch, 3, side, side, generator=draw) * 2 - 1},
        "denoiser": {
            "sample": latent,
            "timestep": torch.tensor(STUDENT_TIMESTEPS[1][0]),
            **conditioning.arrays(),
        },
    }


def resizable(pipeline: Pipeline, scale: float) -> float:
    """The scale itself for a pipeline of images; captions stay as long as they are: 1."""
    return scale if task_named(pipeline.task).output == "image" else 1.0


def picture_side(pipeline: Pipeline) -> int:
    """Pixels of the square pictures that its encoder of pictures takes; 0: it has none."""
    encoder = getattr(pipeline.conditioner, "image_encoder", None)
    return 0 if encoder is None else int(encoder.side)


@torch.no_grad()
def image_size(pipeline: Pipeline) -> tuple[int, int]:
    """(W, H) of the pipeline's images; of captions (S, 1)."""
    data = pipeline.autoencoder.decode(torch.zeros(1, *pipeline.latent_shape))
    return (data.shape[3], data.shape[2]) if data.ndim == 4 else (data.shape[1], 1)


def image_sizes(pipeline: Pipeline) -> tuple[tuple[int, int], ...]:
    """(W, H) of all that the pipeline learnt to draw, its default first."""
    first, (_, rows, columns) = image_size(pipeline), pipeline.latent_shape
    others = ((first[0] * wide // columns, first[1] * high // rows) for _, high, wide in pipeline.shapes)
    return tuple(dict.fromkeys([first, *others]))


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
