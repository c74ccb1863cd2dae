"""Engines of NVIDIA's on the GPU, what its two TensorRTs share: a context and a recorded CUDA graph a plan; it builds none.

It has never run: it was written on machines without a GPU, where CUDA answers that there is no driver. Its names are compared
with the stubs of TensorRT 10.13, the classes of 11.4's runtime and those of TensorRT for RTX 1.7.
"""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from base.errors import BadInput
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle, dimensions
from runtime.engine_build import build_log

BATCHES = (1, 4)
"""Batches of the plans at sizes for which the bundle has no buckets."""


class EngineBackend(Backend):
    """One engine a graph, with a context and a recorded CUDA graph for each of its plans."""

    planned_only = True

    def __init__(self, bundle: Bundle, options: BackendOptions, api: Any) -> None:
        super().__init__(options)
        self.bundle = bundle
        self.api = api
        self._stream = int(done(cuda.cudaStreamCreate()))
        _release_with(self, cuda.cudaStreamDestroy, self._stream)
        self._runtime = api.Runtime(build_log(api))
        self._engines: dict[str, Any] = {}
        self._plans: dict[tuple[str, int], RecordedPlan] = {}

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Sequence[int]:
        """Batches N of the plans at the height and width of inputs `(N, …)`."""
        planned, own = self.bundle.plans(graph, BATCHES), dimensions(graph, inputs)
        batches = sorted(axes["batch"] for axes in planned if {**axes, "batch": 0} == {**own, "batch": 0})
        assert batches, f"no plan of {graph} for {own}"  # sizes are the generator's to check
        return batches

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars → outputs `(N, …)`, by the plan of exactly these shapes."""
        plan = self.bundle.plans(graph, BATCHES).index(dimensions(graph, inputs))
        if (graph, plan) not in self._plans:
            shapes = {name: array.shape for name, array in inputs.items()}
            context = self.context(graph, self._engine(graph))
            context.set_optimization_profile_async(self.profile(plan), self._stream)
            self._plans[graph, plan] = RecordedPlan(self.api, context, shapes, self._stream)
            outputs = self._plans[graph, plan].run(inputs)
            self.recorded(graph)
            return outputs
        return self._plans[graph, plan].run(inputs)

    @abstractmethod
    def serialised(self, graph: str) -> Iterator[bytes]:
        """Engines of a graph, from wherever this backend has them: the first that TensorRT takes is used."""

    def profile(self, plan: int) -> int:
        """The profile of the engine that a plan belongs to: here each plan has its own."""
        return plan

    def context(self, graph: str, engine: Any) -> Any:
        """What runs the engine of a graph for one plan."""
        return engine.create_execution_context()

    def recorded(self, graph: str) -> None:
        """A plan of a graph has run for the first time."""

    def _engine(self, graph: str) -> Any:
        if graph not in self._engines:
            loaded = map(self._runtime.deserialize_cuda_engine, self.serialised(graph))
            engine = next((engine for engine in loaded if engine is not None), None)
            if engine is None:
                raise BadInput(f"TensorRT {self.api.__version__} does not take the engine of {graph}: its log says why")
            self._engines[graph] = engine
        return self._engines[graph]


class RecordedPlan:
    """One plan of an engine at fixed addresses: the first run records what later ones replay."""

    def __init__(self, api: Any, context: Any, shapes: Mapping[str, tuple[int, ...]], stream: int) -> None:
        self._context = context
        self._stream = stream
        self._recorded: Any = None
        engine = context.engine
        for name, shape in shapes.items():
            context.set_input_shape(name, shape)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._outputs = [name for name in names if engine.get_tensor_mode(name) == api.TensorIOMode.OUTPUT]
        self._rooms: dict[str, tuple[int, NDArray[Any]]] = {}  # its address on the GPU, its copy here
        for name in names:
            shape = tuple(context.get_tensor_shape(name))
            here = np.empty(shape, api.nptype(engine.get_tensor_dtype(name)))
            on_gpu = int(done(cuda.cudaMalloc(max(here.nbytes, 1))))
            _release_with(self, cuda.cudaFree, on_gpu)
            context.set_tensor_address(name, on_gpu)
            self._rooms[name] = (on_gpu, here)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs of the plan's shapes, by name → copies of the outputs `(N, …)`."""
        for name, array in inputs.items():
            on_gpu, here = self._rooms[name]
            np.copyto(here, array)
            to_gpu = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
            done(cuda.cudaMemcpyAsync(on_gpu, here.ctypes.data, here.nbytes, to_gpu, self._stream))
        if self._recorded is None:
            self._recorded = self._record()
        done(cuda.cudaGraphLaunch(self._recorded, self._stream))
        from_gpu = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        for on_gpu, here in (self._rooms[name] for name in self._outputs):
            done(cuda.cudaMemcpyAsync(here.ctypes.data, on_gpu, here.nbytes, from_gpu, self._stream))
        done(cuda.cudaStreamSynchronize(self._stream))
        return {name: self._rooms[name][1].copy() for name in self._outputs}

    def _record(self) -> Any:
        """A CUDA graph of one run; the run before it allocates what may not be allocated while recording."""
        self._context.execute_async_v3(self._stream)
        done(cuda.cudaStreamSynchronize(self._stream))
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        done(cuda.cudaStreamBeginCapture(self._stream, mode))
        self._context.execute_async_v3(self._stream)
        graph = done(cuda.cudaStreamEndCapture(self._stream))
        recorded = done(cuda.cudaGraphInstantiate(graph, 0))
        done(cuda.cudaGraphDestroy(graph))
        _release_with(self, cuda.cudaGraphExecDestroy, recorded)
        return recorded


def _release_with(owner: object, release: Callable[[Any], Any], handle: Any) -> None:
    """Give `handle` back when its owner is gone: bundles are exchanged while the process lives."""
    weakref.finalize(owner, release, handle).atexit = False  # the driver gives all back when the process ends


def done(answer: Any) -> Any:
    """The result of a CUDA call. BadInput: it failed."""
    error, *results = answer
    if error != cuda.cudaError_t.cudaSuccess:
        raise BadInput(f"CUDA: {error.name}: is there a GPU, and is its driver new enough?")
    return results[0] if results else None
