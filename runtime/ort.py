"""Graphs on ONNX Runtime, on a CPU, through CUDA or WebGPU; it knows nothing about torch or about what the graphs mean.

CUDA has never run: everything but the provider's own options is the same on a CPU, and tested there. WebGPU has run on a GPU
in software.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from base.errors import BadInput
from runtime import webgpu
from runtime.available import BackendInfo
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.signature import INPUT_AXES

BACKEND = BackendInfo(package="onnxruntime", extra="serve", devices=("cpu", "cuda", "webgpu"), rank=1)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "webgpu": webgpu.PROVIDER}
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}


class OrtBackend(Backend):
    """One session a graph, and one a bucket of a graph, each made when it is first needed."""

    name = "ort"

    def __init__(self, bundle: Bundle, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        self.bundle = bundle
        self.device = _device(self.options.device)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._static: dict[tuple[Any, ...], StaticSession] = {}

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Sequence[int]:
        """Batches N of the bundle's buckets for inputs `(N, …)`; without buckets any N runs as it is."""
        return self.bundle.batches(graph, inputs)

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars → outputs `(N, …)`: by a session of fixed shapes where there are buckets."""
        planned = self.bundle.planned(graph, inputs)
        with webgpu.refusals(graph) if self.device == "webgpu" else nullcontext():
            return self._bucket(graph, planned[0], inputs) if planned else self._dynamic(graph, inputs)

    def _dynamic(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if graph not in self._sessions:
            self._sessions[graph] = self._open(graph)
        session = self._sessions[graph]
        names = [value.name for value in session.get_outputs()]
        return dict(zip(names, session.run(None, dict(inputs)), strict=True))

    def _bucket(self, graph: str, axes: dict[str, int], inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """By the session of fixed shapes; `axes` are those of a bucket of this size, of whatever batch."""
        batch = next(array.shape[0] for array in inputs.values() if array.ndim)
        key = (graph, *(array.shape for array in inputs.values()))
        if key not in self._static:
            fixed = {**axes, "batch": batch}
            self._static[key] = StaticSession(self._open(graph, fixed), fixed, self.device)
        return self._static[key].run(inputs)

    def _open(self, graph: str, fixed: Mapping[str, int] | None = None) -> onnxruntime.InferenceSession:
        """A session of the whole graph; where all its dimensions are fixed, one that CUDA can record and replay."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.options.threads or os.cpu_count() or 1
        options.log_severity_level = 3
        taken = {axis for axes in INPUT_AXES[graph].values() for axis in axes.values()}
        for axis in taken & set(fixed or {}):
            options.add_free_dimension_override_by_name(axis, (fixed or {})[axis])
        recorded = {"enable_cuda_graph": "1"} if fixed and self.device == "cuda" else {}
        provider = PROVIDERS[self.device]
        file = self.bundle.graph(graph, self.name if self.device == "cpu" else "")
        used = webgpu.providers(options) if self.device == "webgpu" else [(provider, recorded)]
        session = onnxruntime.InferenceSession(str(file), options, providers=used, enable_fallback=0)
        if session.get_providers()[0] != provider:  # it falls back to the CPU without a word
            raise BadInput(f"ONNX Runtime gave {session.get_providers()[0]} instead of {provider}: is there a GPU?")
        self.bundle.check_inputs(graph, [value.name for value in session.get_inputs()])
        return session


class StaticSession:
    """A session whose inputs and outputs stay where they are on its device, as a recorded CUDA graph needs it."""

    def __init__(self, session: onnxruntime.InferenceSession, axes: Mapping[str, int], device: str) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs = {value.name: _room(value, axes, device) for value in session.get_inputs()}
        self._outputs = {value.name: _room(value, axes, device) for value in session.get_outputs()}
        for name, room in self._inputs.items():
            self._binding.bind_ortvalue_input(name, room)
        for name, room in self._outputs.items():
            self._binding.bind_ortvalue_output(name, room)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs of the fixed shapes, by name → copies of the outputs `(N, …)`."""
        for name, room in self._inputs.items():
            room.update_inplace(np.ascontiguousarray(inputs[name]))
        self._session.run_with_iobinding(self._binding)
        return {name: np.array(room.numpy()) for name, room in self._outputs.items()}


def load(bundle: Bundle, options: BackendOptions) -> OrtBackend:
    """BadInput: CUDA or WebGPU is asked for, and this ONNX Runtime has none."""
    return OrtBackend(bundle, options)


def _device(requested: str) -> str:
    """`cpu`, `cuda` or `webgpu`. BadInput: this ONNX Runtime has no such provider."""
    if requested == "webgpu":
        webgpu.check()
        return requested
    has_cuda = PROVIDERS["cuda"] in onnxruntime.get_available_providers()
    if requested == "cuda" and not has_cuda:
        raise BadInput(
            "this ONNX Runtime has no CUDAExecutionProvider: pip install 'ippo[gpu]'; accepted here: auto, cpu"
        )
    if requested == "cpu" or not has_cuda:
        return "cpu"
    onnxruntime.preload_dlls()  # finds the CUDA libraries that pip installed
    return "cuda"


def _room(value: Any, axes: Mapping[str, int], device: str) -> Any:
    """Memory for one input or output: on the GPU where it is CUDA's."""
    shape = [axes[size] if isinstance(size, str) else size for size in value.shape]
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
        shape, TYPES[value.type], "cuda" if device == "cuda" else "cpu", 0
    )
