"""A pipeline's torch networks behind the inputs and outputs of their signatures; it knows nothing about ONNX or files.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `T` tokens of a picture, `A` attributes, `D` width,
`V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from models.architecture import architecture
from models.conditioning import Conditioning
from models.pipeline import Pipeline
from models.schedule import STUDENT_TIMESTEPS
from models.task import task_named, task_of
from models.word_by_word import ByWord
from runtime.graph_networks import (
    CONDITIONERS,
    DECODERS,
    Component,
    DenoiserGraph,
    EncoderGraph,
    ImageEncoderGraph,
    NextTokenGraph,
)
from runtime.signature import NEXT_TOKEN, conditioner_inputs, graph_outputs


def components(pipeline: Pipeline) -> dict[str, Component]:
    """By the names of `runtime.signature.SIGNATURES`, cheapest first; what writes has no encoder."""
    task = task_named(pipeline.task)
    conditioner = CONDITIONERS[task.conditioner_inputs, task.direct_inputs]
    outputs = graph_outputs("conditioner", pipeline.task, conditioning_names(pipeline))
    return {
        "conditioner": conditioner(pipeline.conditioner, outputs),
        **_decoder(pipeline),
        **({"encoder": EncoderGraph(pipeline.autoencoder)} if task.output == "image" else {}),
        "denoiser": DenoiserGraph(pipeline.denoiser),
    }


def _decoder(pipeline: Pipeline) -> dict[str, Component]:
    """The decoder, or the graph of one word of it."""
    if pipeline.autoencoder.by_word is not None:
        return {NEXT_TOKEN: NextTokenGraph(pipeline.autoencoder)}
    return {"decoder": DECODERS[task_named(pipeline.task).output](pipeline.autoencoder)}


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
    conditioning, given = pipeline.conditioner(ids).arrays(), conditioner_arrays(pipeline, ids)
    for name in task_named(pipeline.task).direct_inputs:  # examples are texts: pictures and their share count as well
        conditioning[name] = torch.rand(conditioning[name].shape, generator=draw)
    side, words = picture_side(pipeline), pipeline.autoencoder.by_word
    by_word = {} if words is None else {NEXT_TOKEN: _one_word(words, latent / scaling_factor(pipeline), draw)}
    return {
        **by_word,
        "conditioner": {name: given[name] for name in conditioner_inputs(pipeline.task)},
        "decoder": {"latent_sample": latent / scaling_factor(pipeline)},
        "encoder": {"sample": image},
        "image_encoder": {"pixel_values": torch.rand(batch, 3, side, side, generator=draw) * 2 - 1},
        "denoiser": {
            "sample": latent,
            "timestep": torch.tensor(STUDENT_TIMESTEPS[1][0]),
            **conditioning,
        },
    }


def _one_word(words: ByWord, latent: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
    """Inputs of `next_token` for texts `(N, C, h, w)`, somewhere in the middle of them."""
    return {
        "latent_sample": latent,
        "token_ids": torch.full((len(latent), 1), words.start),
        "position": torch.tensor(3),
        "past": torch.randn(len(latent), *words.past, generator=draw),
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
    if pipeline.autoencoder.by_word is not None:
        return pipeline.autoencoder.by_word.longest, 1
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
