"""Graphs on TensorRT (10.12 or newer, and 11), engines built here from the bundle; it knows nothing about torch.

It has never run: it was written on machines without a GPU. Tested are its names, against the stubs of TensorRT 10.13 and, those
of the runtime, against the classes of 11.4 (whose lean wheel loads without a GPU); the cache of engines; and the plans and the
cutting of batches, which other backends share.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from base.errors import BadInput
from base.files import atomic_file
from runtime import cache
from runtime.available import BackendInfo
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle, dimensions

BACKEND = BackendInfo(package="tensorrt", extra="trt", devices=("cuda",), note="which has never run")

OLDEST = (10, 12)
BATCHES = (1, 4)
"""Batches of the profiles at sizes for which the bundle has no buckets."""
LEVEL = 4
"""How many tactics the builder tries, 0 to 5; TensorRT's default is 3, and 5 takes several times as long."""

LOGGER = tensorrt.Logger(tensorrt.Logger.WARNING)


class TrtBackend(Backend):
    """One engine a graph, with a profile, a context and a recorded CUDA graph for each of its plans."""

    name = "trt"
    planned_only = True

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        super().__init__(options)
        _check_version(tensorrt.__version__)
        self.bundle = bundle
        self._machine = _machine()
        self._cache = cache.EngineCache(cache.folder("trt"))
        self._stream = int(_done(cuda.cudaStreamCreate()))
        self._runtime = tensorrt.Runtime(LOGGER)
        self._engines: dict[str, tensorrt.ICudaEngine] = {}
        self._plans: dict[tuple[str, int], RecordedProfile] = {}

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Sequence[int]:
        """Batches N of the profiles at the height and width of inputs `(N, …)`."""
        planned, own = self.bundle.plans(graph, BATCHES), dimensions(graph, inputs)
        batches = sorted(axes["batch"] for axes in planned if {**axes, "batch": 0} == {**own, "batch": 0})
        assert batches, f"no plan of {graph} for {own}"  # sizes are the generator's to check
        return batches

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars → outputs `(N, …)`, by the profile of exactly these shapes."""
        profile = self.bundle.plans(graph, BATCHES).index(dimensions(graph, inputs))
        if (graph, profile) not in self._plans:
            shapes = {name: array.shape for name, array in inputs.items()}
            self._plans[graph, profile] = RecordedProfile(self._engine(graph), profile, shapes, self._stream)
        return self._plans[graph, profile].run(inputs)

    def _engine(self, graph: str) -> tensorrt.ICudaEngine:
        """From the cache, or built now: minutes. Other processes that want the same one wait for it."""
        if graph not in self._engines:
            planned = self.bundle.plans(graph, BATCHES)
            timings = self._cache.folder / f"timing-{cache.digest(self._machine)[:16]}.cache"
            axes, file = self.bundle.input_axes(graph), self.bundle.graph(graph)
            plan = self._cache.get(self._key(graph), lambda: build(file, axes, planned, timings))
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise BadInput(f"TensorRT {tensorrt.__version__} does not take the engine of {graph} that it built")
            self._engines[graph] = engine
        return self._engines[graph]

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


class RecordedProfile:
    """One profile of an engine at fixed addresses: the first run records what later ones replay."""

    def __init__(
        self, engine: tensorrt.ICudaEngine, profile: int, shapes: Mapping[str, tuple[int, ...]], stream: int
    ) -> None:
        self._context = engine.create_execution_context()
        self._stream = stream
        self._recorded: Any = None
        self._context.set_optimization_profile_async(profile, stream)
        for name, shape in shapes.items():
            self._context.set_input_shape(name, shape)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._outputs = [n for n in names if engine.get_tensor_mode(n) == tensorrt.TensorIOMode.OUTPUT]
        self._rooms: dict[str, tuple[int, NDArray[Any]]] = {}  # its address on the GPU, its copy here
        for name in names:
            shape = tuple(self._context.get_tensor_shape(name))
            here = np.empty(shape, tensorrt.nptype(engine.get_tensor_dtype(name)))
            on_gpu = int(_done(cuda.cudaMalloc(max(here.nbytes, 1))))
            self._context.set_tensor_address(name, on_gpu)
            self._rooms[name] = (on_gpu, here)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs of the profile's shapes, by name → copies of the outputs `(N, …)`."""
        for name, array in inputs.items():
            on_gpu, here = self._rooms[name]
            np.copyto(here, array)
            to_gpu = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
            _done(cuda.cudaMemcpyAsync(on_gpu, here.ctypes.data, here.nbytes, to_gpu, self._stream))
        if self._recorded is None:
            self._recorded = self._record()
        _done(cuda.cudaGraphLaunch(self._recorded, self._stream))
        from_gpu = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        for on_gpu, here in (self._rooms[name] for name in self._outputs):
            _done(cuda.cudaMemcpyAsync(here.ctypes.data, on_gpu, here.nbytes, from_gpu, self._stream))
        _done(cuda.cudaStreamSynchronize(self._stream))
        return {name: self._rooms[name][1].copy() for name in self._outputs}

    def _record(self) -> Any:
        """A CUDA graph of one run; the run before it allocates what may not be allocated while recording."""
        self._context.execute_async_v3(self._stream)
        _done(cuda.cudaStreamSynchronize(self._stream))
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _done(cuda.cudaStreamBeginCapture(self._stream, mode))
        self._context.execute_async_v3(self._stream)
        return _done(cuda.cudaGraphInstantiate(_done(cuda.cudaStreamEndCapture(self._stream)), 0))


def load(bundle: Bundle, options: BackendOptions) -> TrtBackend:
    """The backend on a bundle. BadInput: no GPU, or a TensorRT that is too old."""
    return TrtBackend(bundle, options)


def build(graph: Path, axes: Mapping[str, Mapping[int, str]], planned: list[dict[str, int]], timings: Path) -> bytes:
    """The ONNX graph as a serialised engine with one static profile a plan; `timings` is read and written."""
    builder = tensorrt.Builder(LOGGER)
    network = builder.create_network(_strongly_typed())
    parser = tensorrt.OnnxParser(network, LOGGER)
    if not parser.parse_from_file(str(graph)):
        raise BadInput(f"TensorRT {tensorrt.__version__} cannot read {graph.name}: {parser.get_error(0).desc()}")
    values = [network.get_input(index) for index in range(network.num_inputs)]
    if (names := sorted(value.name for value in values)) != sorted(axes):
        raise BadInput(f"{graph.name} takes {', '.join(names)}; this ippo knows {', '.join(sorted(axes))}")
    config = builder.create_builder_config()
    config.builder_optimization_level = LEVEL
    for sizes in planned:
        profile = builder.create_optimization_profile()
        for value in values:
            shape = [sizes[axes[value.name][index]] if size < 0 else size for index, size in enumerate(value.shape)]
            if axes[value.name]:
                profile.set_shape(value.name, shape, shape, shape)  # min, opt and max
        config.add_optimization_profile(profile)
    known = config.create_timing_cache(timings.read_bytes() if timings.is_file() else b"")
    config.set_timing_cache(known, ignore_mismatch=False)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BadInput(f"TensorRT {tensorrt.__version__} cannot build {graph.name}: its log above says why")
    with atomic_file(timings) as hidden:
        hidden.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(engine)


def _strongly_typed() -> int:
    """Types are those of the graph: a flag in 10, the only way in 11, where the flag may be gone."""
    flags = getattr(tensorrt, "NetworkDefinitionCreationFlag", None)
    flag = getattr(flags, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _check_version(version: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < OLDEST:
        raise BadInput(f"TensorRT {version} is too old: 10.12 or newer is needed")


def _machine() -> dict[str, Any]:
    """What an engine is bound to. BadInput: no GPU."""
    gpu = _done(cuda.cudaGetDeviceProperties(0))
    return {
        "tensorrt": tensorrt.__version__,
        "driver": _done(cuda.cudaDriverGetVersion()),
        "gpu": gpu.name.decode(),
        "capability": [gpu.major, gpu.minor],
        "memory": gpu.totalGlobalMem,
        "system": [platform.system(), platform.machine()],
    }


def _done(answer: Any) -> Any:
    """The result of a CUDA call. BadInput: it failed."""
    error, *results = answer
    if error != cuda.cudaError_t.cudaSuccess:
        raise BadInput(f"CUDA: {error.name}: is there a GPU, and is its driver new enough?")
    return results[0] if results else None
