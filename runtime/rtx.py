"""Graphs on TensorRT for RTX (GeForce and RTX GPUs from Turing on), by engines that any machine builds; it knows no torch.

Built and tested without a GPU: engines of all graphs. Never run: loading one, and everything after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorrt_rtx_bindings as tensorrt_rtx
from cuda.bindings import runtime as cuda

from base.errors import BadInput
from runtime import cache, engines, gpu
from runtime.available import BackendInfo
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.engine_build import EngineOptions, build
from runtime.engine_run import BATCHES, EngineBackend, done

BACKEND = BackendInfo(
    package="tensorrt_rtx_bindings",
    others=("cuda.bindings", "filelock"),
    extra="rtx",
    devices=("cuda",),
    rank=-1,
    engines=True,
    note="which has never run",
)


class RtxBackend(EngineBackend):
    """Engines of the bundle, or built here in seconds; what is compiled for this GPU at the first run is kept as well."""

    name = "rtx"

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        capability = gpu.capability()
        if capability is None:
            raise BadInput(
                "backend 'rtx' needs an NVIDIA GPU with its driver, and there is none; ort and openvino do not"
            )
        self._capability = engines.parse(capability, known())[0]
        self._cache = cache.EngineCache(cache.folder("rtx"))
        self._kernels: dict[str, Any] = {}
        super().__init__(bundle, options, tensorrt_rtx)

    def serialised(self, graph: str) -> Iterator[bytes]:
        """From the bundle; from the cache, or built now. Other processes that want the same one wait for it."""
        depends, here = key(self.bundle, graph), self._capability
        if records := self.bundle.manifest.engines:
            own = engines.read(self.bundle.folder, records, graph, here, cache.digest(depends))
            yield from [own] if own else []
        yield self._cache.get({**depends, "capability": here}, lambda: built(self.bundle, graph, [here]))

    def profile(self, plan: int) -> int:
        """One profile spans all plans."""
        return 0

    def context(self, graph: str, engine: Any) -> Any:
        """What runs an engine; kernels that an earlier process compiled for this GPU are taken over."""
        config = engine.create_runtime_config()
        if graph not in self._kernels:
            self._kernels[graph] = config.create_runtime_cache()
            if (kept := self._cache.stored(self._kernel_key(graph))) is not None:
                self._kernels[graph].deserialize(kept)  # it refuses what another GPU or driver left, and compiles
        config.set_runtime_cache(self._kernels[graph])
        return engine.create_execution_context(config)

    def recorded(self, graph: str) -> None:
        """Keep what was compiled for the plan that has just been recorded."""
        self._cache.store(self._kernel_key(graph), bytes(self._kernels[graph].serialize()))

    def _kernel_key(self, graph: str) -> dict[str, Any]:
        """What compiled kernels depend on besides their engine."""
        device = done(cuda.cudaGetDeviceProperties(0))
        here = {"driver": done(cuda.cudaDriverGetVersion()), "gpu": device.name.decode(), "kind": "kernels"}
        return {**key(self.bundle, graph), "capability": self._capability, **here}


def load(bundle: Bundle, options: BackendOptions) -> RtxBackend:
    """The backend on a bundle. BadInput: no GPU or driver, or a GPU that TensorRT for RTX does not know."""
    return RtxBackend(bundle, options)


def known() -> list[str]:
    """Compute capabilities for which this version builds engines: `sm75`, `sm80`, …"""
    names: Sequence[str] = tensorrt_rtx.ComputeCapability.__members__
    return sorted((name.lower() for name in names if name.startswith("SM")), key=lambda name: int(name[2:]))


def versions() -> dict[str, str]:
    """Package that builds engines → its version."""
    return {"tensorrt_rtx": tensorrt_rtx.__version__}


def key(bundle: Bundle, graph: str) -> dict[str, Any]:
    """All that an engine depends on but compute capabilities: not on an operating system or a driver, as NVIDIA says."""
    return {
        **versions(),
        "graph": graph,
        "files": bundle.contents(graph),
        "plans": bundle.plans(graph, BATCHES),
    }


def built(bundle: Bundle, graph: str, capabilities: Sequence[str]) -> bytes:
    """The one engine of a graph for GPUs of `capabilities`, on whatever machine this is: one profile over all plans."""
    options = EngineOptions([bundle.plans(graph, BATCHES)], capabilities)
    return build(tensorrt_rtx, bundle.graph(graph), bundle.input_axes(graph), options)
