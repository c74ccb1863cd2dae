"""Graphs on OpenVINO's CPU plugin, one static plan a batch size; it knows neither torch nor what the graphs mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from export.bundle import Bundle
from export.signature import LEAST_PSNR

Precision = Literal["f32", "bf16"]
BATCHES = (1, 2, 4, 8)
"""Static plans: a batch is padded to the next of these, a larger one is cut. Padding costs less than a dynamic plan."""


class OpenVinoBackend:
    """Plans are compiled when a graph first meets a batch size, and kept."""

    name = "openvino"

    def __init__(self, bundle: Bundle, threads: int | None = None, precision: Precision | None = None) -> None:
        self.bundle = bundle
        self.precision: Precision = precision or _best_precision(bundle)
        self._core = openvino.Core()
        self._config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for its core even when another core is idle
        }
        if threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._plans: dict[tuple[Any, ...], Any] = {}

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([self._run(graph, piece, count) for piece, count in _pieces(inputs)])

    def _run(self, graph: str, inputs: dict[str, NDArray[Any]], count: int) -> NDArray[Any]:
        key = (graph, *(array.shape for array in inputs.values()))
        if key not in self._plans:
            self._plans[key] = self._compile(graph, inputs)
        result = self._plans[key].infer(inputs, share_inputs=True, share_outputs=True)
        return np.array(result[0][:count])  # a copy: the plan's own buffer is used again

    def _compile(self, graph: str, inputs: dict[str, NDArray[Any]]) -> Any:
        model = self._core.read_model(str(self.bundle.graph(graph)))
        model.reshape({name: list(array.shape) for name, array in inputs.items()})
        return self._core.compile_model(model, "CPU", self._config).create_infer_request()


def load(bundle: Bundle, threads: int | None = None) -> OpenVinoBackend:
    return OpenVinoBackend(bundle, threads)


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 itself (AVX512-BF16, AMX)."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _best_precision(bundle: Bundle) -> Precision:
    """bf16 where the CPU has it and this bundle's images stood it when they were measured, f32 elsewhere."""
    measured = bundle.manifest.parity.get("openvino_bf16", {}).get("psnr", 0.0)
    return "bf16" if measured >= LEAST_PSNR and has_bf16() else "f32"


def _pieces(inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """Batches of a planned size, and how many rows of each are wanted; scalars go to all of them."""
    total = max(len(array) for array in inputs.values() if array.ndim)
    for start in range(0, total, BATCHES[-1]):
        count = min(total - start, BATCHES[-1])
        planned = next(size for size in BATCHES if size >= count)
        rows = [min(start + index, total - 1) for index in range(planned)]
        yield {name: array[rows] if array.ndim else array for name, array in inputs.items()}, count
