"""The gate at the end of every export: the graphs against torch float32; it knows nothing about how they were made.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from base.errors import BadInput
from metrics.sharpness import psnr
from models.labels import Input
from models.pipeline import Pipeline
from runtime.generator import Generator, Request
from runtime.graph_networks import Component
from runtime.networks import as_tuple, at_size, examples, image_size, resizable
from runtime.shapes import Bucket, size_list
from runtime.signature import SIGNATURES

LARGEST_FP16 = 65504.0
HEADROOM = 2.0
"""Activations below the largest fp16 number by this factor may be computed in fp16."""
LARGE = 512
"""From this height on the second case is half the own size and not twice: activations grow faster than images."""


@dataclass(frozen=True)
class Reference:
    """What torch float32 gives: one example at the pipeline's own size, three at another."""

    cases: dict[str, tuple[dict[str, Tensor], tuple[NDArray[np.float32], ...]]]
    """By batch and image size, e.g. `3x128x128`: inputs and outputs."""
    largest_activation: float
    """The largest absolute value that any layer gives on the way."""


def fits_fp16(largest_activation: float) -> bool:
    """Whether a network may compute in fp16; NaN may not."""
    return largest_activation <= LARGEST_FP16 / HEADROOM


@torch.no_grad()
def reference(name: str, network: Component, pipeline: Pipeline) -> Reference:
    """Run the network `name` of a pipeline in torch, listening to every layer."""
    seen: list[float] = []

    def note(module: nn.Module, taken: Any, given: Any) -> None:
        if isinstance(given, Tensor):
            seen.append(float(given.abs().max()))

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        width, height = image_size(pipeline)
        cases = {}
        for batch, scale in ((1, 1.0), (3, 0.5 if height >= LARGE else 2.0)):
            factor = resizable(pipeline, scale)
            inputs = examples(pipeline, batch, scale)[name]
            shape = Bucket(batch, int(width * factor), int(height * factor))
            cases[str(shape)] = (inputs, tuple(output.numpy() for output in as_tuple(network(**inputs))))
    finally:
        for hook in hooks:
            hook.remove()
    return Reference(cases, float(np.max(seen)))  # unlike Python's, numpy's max keeps NaN


def component(name: str, expected: Reference, graph: Path) -> dict[str, float]:
    """Figures of one graph against its network, the worst and each; `BadInput` names the component that fails."""
    signature = SIGNATURES[name]
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    errors = {}
    for shape, (inputs, outputs) in expected.cases.items():
        results = session.run(None, {key: value.numpy() for key, value in inputs.items()})
        each = [relative_error(one, output) for one, output in zip(results, outputs, strict=True)]
        errors[f"relative_error {shape}"] = float(np.max(each))
    worst = float(np.max(list(errors.values())))  # unlike Python's, numpy's max keeps NaN
    if not worst <= signature.tolerance:  # NaN fails too
        raise BadInput(f"{name} failed the parity gate: relative error {worst:.2g}, accepted {signature.tolerance:.2g}")
    return {"relative_error": worst, **errors, "largest_activation": expected.largest_activation}


def image(generator: Generator, pipeline: Pipeline, inputs: Sequence[Input]) -> dict[str, float]:
    """PSNR of fused one-step images against torch float32: alone and as one batch, at every size that is accepted.

    `psnr` is the worst of all; where there are several sizes each has its own figure as well.
    """
    by_size = {size_list([size]): _psnr_at(size, generator, pipeline, inputs) for size in generator.sizes}
    each = {f"psnr {size}": value for size, value in by_size.items()} if len(by_size) > 1 else {}
    return {"psnr": min(by_size.values()), **each}


def _psnr_at(size: tuple[int, int], generator: Generator, pipeline: Pipeline, inputs: Sequence[Input]) -> float:
    seeds = range(len(inputs))
    expected = at_size(pipeline, size).generate(inputs, list(seeds))  # (N, H, W, 3)
    requests = [Request(input, seed) for input, seed in zip(inputs, seeds, strict=True)]
    alone = np.concatenate([generator.generate([request], size=size) for request in requests])
    return min(psnr(alone, expected), psnr(generator.generate(requests, size=size), expected))


def words(generator: Generator, pipeline: Pipeline, inputs: Sequence[Input]) -> dict[str, float]:
    """Share of the tokens of one-step captions that torch float32 writes too, from the same noise."""
    seeds = range(len(inputs))
    expected = pipeline.generate(inputs, list(seeds))  # (N, S)
    rows = generator.generate([Request(input, seed) for input, seed in zip(inputs, seeds, strict=True)])
    return {"agreement": float((rows == expected).mean())}


def relative_error(values: NDArray[Any], expected: NDArray[Any]) -> float:
    """`‖values − expected‖ / ‖expected‖` of two arrays of one shape; NaN where either holds anything but finite numbers."""
    if not (np.isfinite(values).all() and np.isfinite(expected).all()):
        return math.nan
    difference = np.linalg.norm(values.astype(np.float64) - expected)
    return float(difference / np.linalg.norm(expected.astype(np.float64)))
