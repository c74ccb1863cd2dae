"""Graphs on OpenVINO's CPU plugin, one static plan a shape; it knows neither torch nor what the graphs mean."""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from base.errors import BadInput
from runtime import cache
from runtime.backend import Backend, Options
from runtime.bundle import Bundle
from runtime.shapes import joined, pieces
from runtime.signature import LEAST_PSNR

Precision = Literal["f32", "bf16"]
BATCHES = (1, 2, 4, 8)
"""Static plans where the bundle has no buckets: a batch is padded to the next of these, a larger one is cut. Padding costs
less than a dynamic plan."""


class OpenVinoBackend(Backend):
    """Plans are compiled when a graph first meets a shape, kept, and found again on disk by the next process."""

    name = "openvino"

    def __init__(self, bundle: Bundle, options: Options | None = None, precision: Precision | None = None) -> None:
        self.options = options or Options()
        if self.options.device == "cuda":
            raise BadInput("backend 'openvino' runs on the CPU, not on cuda; accepted: auto, cpu")
        self.bundle = bundle
        self.precision: Precision = precision or _best_precision(bundle)
        self._core = openvino.Core()
        self._config: dict[str, Any] = {
            "PERFORMANCE_HINT": self.options.mode.upper(),
            "INFERENCE_PRECISION_HINT": self.precision,
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for its core even when another core is idle
        }
        if self.options.threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = self.options.threads
        self._cache = _cache()
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def outputs(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        batches = (1,) if self.options.reproducible else self.bundle.batches(graph, inputs) or BATCHES
        streams = 1
        if self.options.mode == "throughput":
            least, _ = next(pieces(inputs, batches[:1]))
            streams = self._plan(graph, least).streams
            share = -(-_rows(inputs) // streams)
            batches = tuple(batch for batch in batches if batch <= max(share, batches[0]))
        cut, found = list(pieces(inputs, batches)), []
        for start in range(0, len(cut), streams):
            side_by_side = cut[start : start + streams]
            alone = len(side_by_side) == 1
            running = [
                self._plan(graph, piece).start(place, piece, alone) for place, (piece, _) in enumerate(side_by_side)
            ]
            names = self.bundle.outputs(graph)
            found += [
                (_results(request, names), count) for request, (_, count) in zip(running, side_by_side, strict=True)
            ]
        return joined(found)

    def _plan(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> _Plan:
        key = (graph, *(array.shape for array in inputs.values()))
        if key not in self._plans:
            shapes = {name: list(array.shape) for name, array in inputs.items()}
            self._plans[key] = self._made(graph, shapes)
        return self._plans[key]

    def _made(self, graph: str, shapes: dict[str, list[int]]) -> _Plan:
        """From the cache, or compiled now and kept there.

        Not OpenVINO's own cache: its key leaves out the precision, and it loads what was altered (both measured, 2026.4).
        """

        def compiled() -> Any:
            model = self._core.read_model(str(self.bundle.graph(graph, self.name)))
            self.bundle.check_inputs(graph, [value.any_name for value in model.inputs])
            model.reshape(shapes)
            return self._core.compile_model(model, "CPU", self._config)

        if self._cache is None:
            return _Plan(compiled())
        engine = self._cache.mapped(self._key(graph, shapes), lambda: bytes(compiled().export_model().getvalue()))
        if isinstance(engine, bytes):
            return _Plan(self._core.import_model(io.BytesIO(engine), "CPU", self._config))
        shared = openvino.Tensor(np.frombuffer(engine, np.uint8), shared_memory=True)
        plan = _Plan(self._core.import_model(shared, "CPU", self._config), engine)
        # What is computed with has been copied in the processor's own layout: 25 MB of the emoji model less a plan. What is
        # read after all comes back from the file.
        if hasattr(mmap, "MADV_DONTNEED"):
            engine.madvise(mmap.MADV_DONTNEED)
        return plan

    def _key(self, graph: str, shapes: dict[str, list[int]]) -> dict[str, Any]:
        """All that a compiled graph depends on."""
        processor = [self._core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        return {
            "openvino": openvino.__version__,
            "processor": processor,
            "config": self._config,
            "graph": graph,
            "files": self.bundle.contents(graph, self.name),
            "shapes": shapes,
        }


class _Plan:
    """One compiled graph, and a request for each place among those that run side by side."""

    def __init__(self, compiled: Any, engine: mmap.mmap | None = None) -> None:
        self.compiled = compiled
        self.streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests: list[Any] = []
        self._engine = engine  # OpenVINO reads it without holding it: the last to go

    def start(self, place: int, inputs: dict[str, NDArray[Any]], alone: bool) -> Any:
        """Begin; with nothing beside it the calling thread does the work, which saves the way through another."""
        while len(self._requests) <= place:
            self._requests.append(self.compiled.create_infer_request())
        request = self._requests[place]
        if alone:
            request.infer(inputs, share_inputs=True, share_outputs=True)
        else:
            request.start_async(inputs, share_inputs=True)
        return request


def load(bundle: Bundle, options: Options) -> OpenVinoBackend:
    return OpenVinoBackend(bundle, options)


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 itself (AVX512-BF16, AMX)."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _best_precision(bundle: Bundle) -> Precision:
    """bf16 where the CPU has it and this bundle's images stood it when they were measured, f32 elsewhere."""
    measured = bundle.manifest.parity.get("openvino_bf16", {}).get("psnr", 0.0)
    return "bf16" if measured >= LEAST_PSNR and has_bf16() else "f32"


def _cache() -> cache.EngineCache | None:
    """None where there is no folder of the user's own: then every process compiles for itself."""
    try:
        return cache.EngineCache(cache.folder("openvino"))
    except BadInput:
        return None


def _rows(inputs: Mapping[str, NDArray[Any]]) -> int:
    return max(len(array) for array in inputs.values() if array.ndim)


def _results(request: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Copies by name: the request's own buffers are used again. A compiled output may go by other names too."""
    request.wait()
    return {name: np.array(tensor.data) for name, tensor in zip(names, request.output_tensors, strict=True)}
