"""TensorRT without a GPU: its plans, and that the backend uses only names that TensorRT 10 and 11 have.

The stubs of 10.13 are no valid Python, so that no type checker reads them: names are all that can be compared. Of 11 there is
the lean runtime, whose real classes load without a GPU; it has no builder.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, dimensions
from runtime.generator import Generator, Request
from runtime.shapes import Bucket

ROOT = Path(__file__).parents[2]


def _stubs() -> str:
    found = [file for file in files("tensorrt-stubs") or () if file.name == "tensorrt.pyi"]
    return "".join(Path(str(file.locate())).read_text() for file in found)


def _of_tensorrt() -> set[str]:
    """What `runtime/trt.py` takes from the module itself."""
    tree = ast.parse((ROOT / "runtime" / "trt.py").read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "tensorrt"}


METHODS = [
    "build_serialized_network", "create_builder_config", "create_execution_context", "create_network",
    "create_optimization_profile", "create_timing_cache", "deserialize_cuda_engine", "execute_async_v3",
    "get_error", "get_input", "get_tensor_dtype", "get_tensor_mode", "get_tensor_name", "get_tensor_shape",
    "get_timing_cache", "parse_from_file", "set_input_shape", "set_optimization_profile_async", "set_shape",
    "set_tensor_address", "set_timing_cache", "add_optimization_profile", "num_inputs", "num_io_tensors",
    "builder_optimization_level", "desc",
]  # fmt: skip


def test_every_name_is_one_that_tensorrt_has() -> None:
    stubs, source = _stubs(), (ROOT / "runtime" / "trt.py").read_text()
    for name in (_of_tensorrt() | {"NetworkDefinitionCreationFlag"}) - {
        "__version__",
        "nptype",
    }:  # those two are in no stub
        assert re.search(rf"^class {name}\b", stubs, re.MULTILINE), name
    for name in METHODS:
        assert re.search(rf"\.{name}\b", source), f"{name} is not used any more"
        assert re.search(rf"^    (def {name}\(|{name}:)", stubs, re.MULTILINE), name
    assert "STRONGLY_TYPED" in stubs and "OUTPUT" in stubs


RUNTIME = {
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": ("create_execution_context", "get_tensor_dtype", "get_tensor_mode", "get_tensor_name", "num_io_tensors"),
    "IExecutionContext": (
        "execute_async_v3", "get_tensor_shape", "set_input_shape", "set_optimization_profile_async", "set_tensor_address",
    ),
    "TensorIOMode": ("OUTPUT",), "Logger": ("WARNING",),
}  # fmt: skip
BUILDER = {"Builder", "OnnxParser", "NetworkDefinitionCreationFlag"}


def test_the_runtime_of_tensorrt_11_has_its_classes_and_methods() -> None:
    lean = pytest.importorskip("tensorrt_lean_bindings")  # creating a Runtime without a driver would crash
    assert tuple(map(int, lean.__version__.split(".")[:2])) >= (11, 0)
    for name in _of_tensorrt() - BUILDER:
        assert hasattr(lean, name), name
    source = (ROOT / "runtime" / "trt.py").read_text()
    for kind, names in RUNTIME.items():
        for name in names:
            assert name in source and hasattr(getattr(lean, kind), name), f"{kind}.{name}"
    assert lean.nptype(lean.DataType.HALF) is np.float16


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
@pytest.mark.parametrize("steps", [1, 2])
def test_on_a_gpu_it_draws_the_same(steps: int, bundle: Bundle) -> None:
    if not (find_spec("tensorrt") and find_spec("tensorrt").origin and find_spec("cuda")):  # type: ignore[union-attr]
        pytest.skip("no TensorRT")
    requests = [Request("a cat", 7), Request("two dogs", 8)]
    expected = Generator(bundle, backend.load("eager", bundle, BackendOptions(device="cpu"))).generate(requests, steps)
    generator = Generator(bundle, backend.load("trt", bundle))
    for _ in range(2):  # recorded, and replayed
        assert np.abs(generator.generate(requests, steps).astype(int) - expected).max() <= 3
