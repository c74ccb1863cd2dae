"""ONNX Runtime: bound sessions of fixed shapes, providers that are asked for and not there."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec

import numpy as np
import onnxruntime
import pytest

from base.errors import BadInput
from runtime import backend, webgpu
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.ort import OrtBackend
from runtime.shapes import Bucket

REQUESTS = [Request(prompt, seed) for seed, prompt in enumerate(("a cat", "", "two dogs", "b"))]


@pytest.fixture(scope="module")
def bucketed(bundle: Bundle) -> Bundle:
    changes = {"buckets": (Bucket(1, 16, 16), Bucket(3, 16, 16)), "sizes": ((16, 16), (32, 16))}
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


@pytest.mark.parametrize("steps", [1, 2])
def test_buckets_run_in_bound_sessions_of_fixed_shapes(steps: int, bucketed: Bundle, bundle: Bundle) -> None:
    expected = Generator(bundle, OrtBackend(bundle, BackendOptions(threads=1))).generate(REQUESTS, steps)
    runner = OrtBackend(bucketed, BackendOptions(threads=1))
    generator = Generator(bucketed, runner)
    found = generator.generate(REQUESTS, steps)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert {key[1][0] for key in runner._static if key[0] == "one_step"} == ({1, 3} if steps == 1 else set())
    assert not runner._sessions
    kept = found.copy()
    generator.generate([Request("c", 9)] * 4, steps)
    np.testing.assert_array_equal(found, kept)  # an image is no view of the memory that is bound


def test_images_to_start_from_go_through_buckets_as_well(bucketed: Bundle, bundle: Bundle) -> None:
    start = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    asked = [Request("a cat", seed, start) for seed in range(3)]
    expected = Generator(bundle, OrtBackend(bundle, BackendOptions(threads=1))).generate(asked)
    runner = OrtBackend(bucketed, BackendOptions(threads=1))
    assert np.abs(Generator(bucketed, runner).generate(asked).astype(int) - expected).max() <= 1
    assert "encoder" in {key[0] for key in runner._static}


def test_a_size_without_buckets_runs_as_it_comes(bucketed: Bundle) -> None:
    runner = OrtBackend(bucketed, BackendOptions(threads=1))
    assert Generator(bucketed, runner).generate(REQUESTS, size=(32, 16)).shape == (4, 16, 32, 3)
    assert set(runner._sessions) == {"one_step"} and not runner._static


@pytest.mark.parametrize("fixed", [True, False])
def test_one_plan_for_every_batch_gives_the_same_bytes(fixed: bool, bucketed: Bundle, bundle: Bundle) -> None:
    used = bucketed if fixed else bundle
    generator = Generator(used, OrtBackend(used, BackendOptions(threads=1, reproducible=True)))
    together = generator.generate(REQUESTS)
    for image, request in zip(together, REQUESTS, strict=True):
        np.testing.assert_array_equal(generator.generate([request])[0], image)


def test_a_provider_that_is_not_there_is_refused(bundle: Bundle) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(
        BadInput, match=r"has no CUDAExecutionProvider: pip install 'ippo\[gpu\]'; accepted here: auto, cpu"
    ):
        backend.load("ort", bundle, BackendOptions(device="cuda"))
    assert OrtBackend(bundle).device == "cpu"
    if webgpu.PROVIDER in onnxruntime.get_available_providers() or find_spec(webgpu.PLUGIN):
        pytest.skip("this ONNX Runtime has WebGPU")
    with pytest.raises(
        BadInput, match=r"has no WebGpuExecutionProvider: pip install 'ippo\[webgpu\]'; accepted here: auto"
    ):
        backend.load("ort", bundle, BackendOptions(device="webgpu"))


def test_a_session_on_another_provider_is_refused(bundle: Bundle) -> None:
    runner = OrtBackend(bundle, BackendOptions(threads=1))
    runner.device = "cuda"  # as if CUDA had been there when the package was looked at
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BadInput, match="ONNX Runtime gave CPUExecutionProvider instead of CUDAExecutionProvider"):
        Generator(bundle, runner).generate(REQUESTS)


@pytest.mark.gpu
@pytest.mark.parametrize("steps", [1, 2])
def test_on_a_gpu_it_draws_the_same(steps: int, bucketed: Bundle, bundle: Bundle) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA")
    expected = Generator(bundle, OrtBackend(bundle, BackendOptions(device="cpu"))).generate(REQUESTS, steps)
    for opened in (bundle, bucketed):  # as it comes, and recorded
        generator = Generator(opened, OrtBackend(opened, BackendOptions(device="cuda")))
        for _ in range(2):
            assert np.abs(generator.generate(REQUESTS, steps).astype(int) - expected).max() <= 3
