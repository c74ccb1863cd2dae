"""Graphs as torch networks in float32: the reference that the others are compared with; it needs no ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export import networks
from export.backend import Options
from export.bundle import Bundle
from export.shapes import pieces
from export.signature import FUSED, conditioner_input, graph_inputs
from models import folder, sampling
from models.errors import BadInput
from models.pipeline import Pipeline, to_uint8
from models.schedule import STUDENT_TIMESTEPS


class EagerBackend:
    """The bundle's own diffusers folder, run by torch."""

    name = "eager"

    def __init__(self, pipeline: Pipeline, options: Options | None = None) -> None:
        self.options = options or Options()
        if self.options.device == "cuda":
            raise BadInput("backend 'eager' is the reference on the CPU; accepted: auto, cpu")
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        self.pipeline = pipeline
        self._networks = networks.components(pipeline)

    @torch.no_grad()
    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if self.options.reproducible:
            return np.concatenate([self._run(graph, piece) for piece, _ in pieces(inputs, (1,))])
        return self._run(graph, inputs)

    def _run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        if graph == FUSED:
            return self._one_step(tensors[conditioner_input(self.pipeline.task)], tensors["noise"])
        taken = graph_inputs(graph, self.pipeline.task)
        assert set(tensors) == taken, f"{graph} takes {sorted(taken)}"
        return cast("NDArray[Any]", self._networks[graph](**tensors).numpy())

    def _one_step(self, ids: Tensor, noise: Tensor) -> NDArray[Any]:
        conditioning = self.pipeline.conditioner(ids)
        denoise = self.pipeline.denoise(conditioning)
        x0 = sampling.student_loop(denoise, [noise], STUDENT_TIMESTEPS[1], self.pipeline.schedule)
        return to_uint8(self.pipeline.autoencoder.decode(x0))  # type: ignore[operator]


def load(bundle: Bundle, options: Options) -> EagerBackend:
    return EagerBackend(folder.load(bundle.folder), options)
