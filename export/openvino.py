"""Graphs on OpenVINO's CPU plugin, one static plan a batch size; it knows nothing about torch or what the graphs mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import openvino
from numpy.typing import NDArray

from export.bundle import Bundle


class OpenVinoBackend:
    """Plans are compiled when a graph first meets a set of input shapes, and kept."""

    name = "openvino"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self._core = openvino.Core()
        self._config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._plans: dict[tuple[Any, ...], Any] = {}

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        shapes = {name: list(array.shape) for name, array in inputs.items()}
        key = (graph, *((name, *shape) for name, shape in sorted(shapes.items())))
        if key not in self._plans:
            self._plans[key] = self._compile(graph, shapes)
        result = self._plans[key].infer(dict(inputs), share_inputs=True, share_outputs=True)
        return cast("NDArray[Any]", np.array(result[0]))

    def _compile(self, graph: str, shapes: dict[str, list[int]]) -> Any:
        model = self._core.read_model(str(self.bundle.graph(graph)))
        model.reshape(shapes)
        return self._core.compile_model(model, "CPU", self._config).create_infer_request()


def load(bundle: Bundle, threads: int | None = None) -> OpenVinoBackend:
    return OpenVinoBackend(bundle, threads)
