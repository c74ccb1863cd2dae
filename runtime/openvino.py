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
from runtime.available import BackendInfo
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.signature import LEAST_PSNR

BACKEND = BackendInfo(package="openvino", extra="serve", devices=("cpu",), rank=0)

Precision = Literal["f32", "bf16"]
BATCHES = (1, 2, 4, 8)
"""Static plans where the bundle has no buckets: a batch is padded to the next of these, a larger one is cut. Padding costs
less than a dynamic plan."""


class OpenVinoBackend(Backend):
    """Plans are compiled when a graph first meets a shape, and stored on disk for the next process."""

    name = "openvino"

    def __init__(
        self, bundle: Bundle, options: BackendOptions | None = None, precision: Precision | None = None
    ) -> None:
        super().__init__(options)
        self.bundle = bundle
        self.precision: Precision = precision or _best_precision(bundle)
        self._core = openvino.Core()
        self._config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for its core even when another core is idle
        }
        if self.options.threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = self.options.threads
        self._cache = _cache()
        self._plans: dict[tuple[Any, ...], CompiledGraph] = {}

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Sequence[int]:
        """Batches N of the bundle's buckets for inputs `(N, …)`, else `BATCHES`."""
        return self.bundle.batches(graph, inputs) or BATCHES

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars → outputs `(N, …)`, by the plan of exactly these shapes."""
        request = self._plan(graph, inputs).request
        request.infer(inputs, share_inputs=True, share_outputs=True)
        # By position, for a compiled output may go by other names too; copied, for the request's buffers are used again.
        outputs = zip(self.bundle.outputs(graph), request.output_tensors, strict=True)
        return {name: np.array(tensor.data) for name, tensor in outputs}

    def variants(self) -> dict[str, Backend]:
        """bf16, on a CPU that multiplies it."""
        return {"openvino_bf16": OpenVinoBackend(self.bundle, self.options, "bf16")} if has_bf16() else {}

    def _plan(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> CompiledGraph:
        key = (graph, *(array.shape for array in inputs.values()))
        if key not in self._plans:
            shapes = {name: list(array.shape) for name, array in inputs.items()}
            self._plans[key] = self._made(graph, shapes)
        return self._plans[key]

    def _made(self, graph: str, shapes: dict[str, list[int]]) -> CompiledGraph:
        """From the cache, or compiled now and stored there.

        Not OpenVINO's own cache: its key leaves out the precision, and it loads what was altered (both measured, 2026.4).
        """

        def compiled() -> Any:
            model = self._core.read_model(str(self.bundle.graph(graph, self.name)))
            self.bundle.check_inputs(graph, [value.any_name for value in model.inputs])
            model.reshape(shapes)
            return self._core.compile_model(model, "CPU", self._config)

        if self._cache is None:
            return CompiledGraph(compiled())
        engine = self._cache.mapped(self._key(graph, shapes), lambda: bytes(compiled().export_model().getvalue()))
        if isinstance(engine, bytes):
            return CompiledGraph(self._core.import_model(io.BytesIO(engine), "CPU", self._config))
        shared = openvino.Tensor(np.frombuffer(engine, np.uint8), shared_memory=True)
        plan = CompiledGraph(self._core.import_model(shared, "CPU", self._config), engine)
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


class CompiledGraph:
    """One graph compiled for fixed shapes, and the request that runs it."""

    def __init__(self, compiled: Any, engine: mmap.mmap | None = None) -> None:
        """`engine` is the file that it was read from: OpenVINO reads on in it without holding it, so it goes last."""
        self.compiled = compiled
        self.request = compiled.create_infer_request()
        self._engine = engine


def load(bundle: Bundle, options: BackendOptions) -> OpenVinoBackend:
    """The backend on a bundle."""
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
