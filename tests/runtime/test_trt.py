"""TensorRT without a GPU: its plans, and that the backends use only names that TensorRT 10 and 11 and the one for RTX have.

The stubs of 10.13 are no valid Python, so that no type checker reads them: names are all that can be compared. Of 11 there is
the lean runtime, whose real classes load without a GPU; it has no builder. That for RTX runs in test_engine_build.py.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import BadInput
from runtime import available, backend, gpu
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, dimensions
from runtime.generator import Generator, Request
from runtime.shapes import Bucket

ROOT = Path(__file__).parents[2]
SHARED = ["engine_build", "engine_run"]


def _stubs() -> str:
    found = [file for file in files("tensorrt-stubs") or () if file.name == "tensorrt.pyi"]
    return "".join(Path(str(file.locate())).read_text() for file in found)


def _source(*names: str) -> str:
    return "\n".join((ROOT / "runtime" / f"{name}.py").read_text() for name in names)


def _taken(source: str, *modules: str) -> set[str]:
    """What a source takes from the modules that it knows by these names."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    direct = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id in modules}
    held = {node.attr for node in nodes if isinstance(node.value, ast.Attribute) and node.value.attr in modules}
    return direct | held


def _of_tensorrt() -> set[str]:
    """What `trt` and what it shares with `rtx` take from the module itself."""
    source = _source("trt", *SHARED).replace("from __future__ import annotations", "")
    return _taken(source, "tensorrt", "api") - ONLY_RTX


ONLY_RTX = {"ComputeCapability"}
METHODS = [
    "build_serialized_network", "create_builder_config", "create_execution_context", "create_network",
    "create_optimization_profile", "create_timing_cache", "deserialize_cuda_engine", "execute_async_v3",
    "get_error", "get_input", "get_tensor_dtype", "get_tensor_mode", "get_tensor_name", "get_tensor_shape",
    "get_timing_cache", "parse_from_file", "set_input_shape", "set_optimization_profile_async", "set_shape",
    "set_tensor_address", "set_timing_cache", "add_optimization_profile", "num_inputs", "num_io_tensors",
    "builder_optimization_level", "desc", "node_operator", "profiling_verbosity",
]  # fmt: skip


def test_every_name_is_one_that_tensorrt_has() -> None:
    stubs, source = _stubs(), _source("trt", *SHARED)
    for name in (_of_tensorrt() | {"NetworkDefinitionCreationFlag"}) - {
        "__version__",
        "nptype",
    }:  # those two are in no stub
        assert re.search(rf"^class {name}\b", stubs, re.MULTILINE), name
    for name in METHODS:
        assert re.search(rf"\.{name}\b", source), f"{name} is not used any more"
        assert re.search(rf"^    (def {name}\(|{name}:)", stubs, re.MULTILINE), name
    assert "STRONGLY_TYPED" in stubs and "OUTPUT" in stubs and "DETAILED" in stubs


RUNTIME = {
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": ("create_execution_context", "get_tensor_dtype", "get_tensor_mode", "get_tensor_name", "num_io_tensors"),
    "IExecutionContext": (
        "execute_async_v3", "get_tensor_shape", "set_input_shape", "set_optimization_profile_async", "set_tensor_address",
        "engine",
    ),
    "TensorIOMode": ("OUTPUT",),
}  # fmt: skip
BUILDER = {"Builder", "OnnxParser", "NetworkDefinitionCreationFlag", "ProfilingVerbosity"}


def test_the_runtime_of_tensorrt_11_has_its_classes_and_methods() -> None:
    lean = pytest.importorskip("tensorrt_lean_bindings")  # creating a Runtime without a driver would crash
    assert tuple(map(int, lean.__version__.split(".")[:2])) >= (11, 0)
    _has_all(lean, RUNTIME, _of_tensorrt() - BUILDER)
    assert lean.nptype(lean.DataType.HALF) is np.float16


OF_RTX = {
    **RUNTIME,
    "ICudaEngine": (*RUNTIME["ICudaEngine"], "create_runtime_config"),
    "IRuntimeConfig": ("create_runtime_cache", "set_runtime_cache"),
    "IRuntimeCache": ("deserialize", "serialize"),
}


def test_tensorrt_for_rtx_has_the_classes_and_methods_of_its_runtime() -> None:
    rtx = pytest.importorskip("tensorrt_rtx_bindings")  # what builds is run by test_engine_build.py
    _has_all(rtx, OF_RTX, _taken(_source("rtx", *SHARED), "tensorrt_rtx", "api"))
    assert rtx.nptype(rtx.DataType.HALF) is np.float16


def _has_all(module: Any, methods: dict[str, tuple[str, ...]], names: set[str]) -> None:
    for name in names:
        assert hasattr(module, name), name
    source = _source("rtx", *SHARED)
    for kind, used in methods.items():
        for name in used:
            assert f".{name}" in source and hasattr(getattr(module, kind), name), f"{kind}.{name}"


def test_cuda_has_every_name_and_answers_that_there_is_no_driver() -> None:
    cuda = pytest.importorskip("cuda.bindings.runtime")
    for name in _taken(_source("trt", "rtx", *SHARED), "cuda"):
        assert hasattr(cuda, name), name
    if gpu.capability():
        pytest.skip("there is a GPU")
    from runtime import engine_run

    with pytest.raises(BadInput, match=r"^CUDA: cudaErrorInsufficientDriver: is there a GPU"):
        engine_run.done(cuda.cudaStreamCreate())


def test_every_bucket_is_planned_once_and_sizes_without_one_too(bundle: Bundle) -> None:
    changes = {"buckets": (Bucket(1, 16, 16), Bucket(3, 16, 16)), "sizes": ((16, 16), (32, 16))}
    bucketed = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update=changes))
    square, wide = {"height": 4, "width": 4}, {"height": 4, "width": 8}
    expected = [{"batch": 1, **square}, {"batch": 3, **square}, {"batch": 1, **wide}, {"batch": 4, **wide}]
    assert bucketed.plans("one_step", (1, 4)) == expected == bucketed.plans("decoder", (1, 4))
    assert bucketed.plans("conditioner", (1, 4)) == [{"batch": 1}, {"batch": 3}, {"batch": 4}]
    assert bucketed.plans("encoder", (1,))[-1] == {"batch": 1, "image_height": 16, "image_width": 32}
    assert bundle.plans("denoiser", (2,)) == [{"batch": 2, **square}]


def test_inputs_find_their_plan(bundle: Bundle) -> None:
    inputs = {"input_ids": np.zeros((3, 8), np.int64), "noise": np.zeros((3, 4, 4, 8), np.float32)}
    assert dimensions("one_step", inputs) == {"batch": 3, "height": 4, "width": 8}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["trt", "rtx"])
@pytest.mark.parametrize("steps", [1, 2])
def test_on_a_gpu_it_draws_the_same(steps: int, name: str, bundle: Bundle) -> None:
    if not available.backends()[name].installed:
        pytest.skip(f"{name} is not installed")
    requests = [Request("a cat", 7), Request("two dogs", 8)]
    expected = Generator(bundle, backend.load("eager", bundle, BackendOptions(device="cpu"))).generate(requests, steps)
    generator = Generator(bundle, backend.load(name, bundle))
    for _ in range(2):  # recorded, and replayed
        assert np.abs(generator.generate(requests, steps).astype(int) - expected).max() <= 3
