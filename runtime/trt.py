"""Graphs on TensorRT (10.12 or newer, and 11), engines built where they run; it knows nothing about torch.

It has never run. What it shares with `rtx` is in `runtime/engine_build.py`, which the tests run with the parser and builder of
TensorRT for RTX, and `runtime/engine_run.py`, which needs a GPU.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorrt
from cuda.bindings import runtime as cuda

from base.errors import BadInput
from runtime import cache
from runtime.available import BackendInfo
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.engine_build import EngineOptions, build
from runtime.engine_run import BATCHES, EngineBackend, done

BACKEND = BackendInfo(
    package="tensorrt", others=("cuda.bindings",), extra="trt", devices=("cuda",), note="which has never run"
)

OLDEST = (10, 12)
LEVEL = 4
"""How many tactics the builder tries, 0 to 5; TensorRT's default is 3, and 5 takes several times as long."""


class TrtBackend(EngineBackend):
    """Engines of static shapes, a profile a plan, which belong to one GPU, one driver and one TensorRT."""

    name = "trt"

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        _check_version(tensorrt.__version__)
        self._machine = _machine()
        self._cache = cache.EngineCache(cache.folder("trt"))
        super().__init__(bundle, options, tensorrt)

    def serialised(self, graph: str) -> Iterator[bytes]:
        """From the cache, or built now: minutes. Other processes that want the same one wait for it."""
        timings = self._cache.folder / f"timing-{cache.digest(self._machine)[:16]}.cache"
        yield self._cache.get(self._key(graph), lambda: self._built(graph, timings))

    def _built(self, graph: str, timings: Path) -> bytes:
        plans = [[plan] for plan in self.bundle.plans(graph, BATCHES)]
        options = EngineOptions(plans, level=LEVEL, timings=timings)
        return build(tensorrt, self.bundle.graph(graph), self.bundle.input_axes(graph), options)

    def _key(self, graph: str) -> dict[str, Any]:
        """All that an engine depends on."""
        manifest = self.bundle.manifest
        return {
            **self._machine,
            "graph": graph,
            "files": self.bundle.contents(graph),
            "precision": [manifest.precision, *manifest.wide],
            "profiles": self.bundle.plans(graph, BATCHES),
            "level": LEVEL,
            "exporter": [manifest.version, manifest.versions],
        }


def load(bundle: Bundle, options: BackendOptions) -> TrtBackend:
    """The backend on a bundle. BadInput: no GPU, or a TensorRT that is too old."""
    return TrtBackend(bundle, options)


def _check_version(version: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < OLDEST:
        raise BadInput(f"TensorRT {version} is too old: 10.12 or newer is needed")


def _machine() -> dict[str, Any]:
    """What an engine is bound to. BadInput: no GPU."""
    gpu = done(cuda.cudaGetDeviceProperties(0))
    return {
        "tensorrt": tensorrt.__version__,
        "driver": done(cuda.cudaDriverGetVersion()),
        "gpu": gpu.name.decode(),
        "capability": [gpu.major, gpu.minor],
        "memory": gpu.totalGlobalMem,
        "system": [platform.system(), platform.machine()],
    }
