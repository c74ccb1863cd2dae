"""OpenVINO's precision, and plans that are found again on disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.cache import ENGINE, MANIFEST
from runtime.generator import Generator, Request
from runtime.openvino import OpenVinoBackend, Precision, has_bf16

REQUESTS = [Request(prompt, seed) for seed, prompt in enumerate(("a cat", "", "two dogs", "b", "c"))]
ONE_THREAD = BackendOptions(threads=1)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPPO_CACHE", str(tmp_path))
    return tmp_path / "openvino"


def _draw(bundle: Bundle, precision: Precision = "f32", options: BackendOptions = ONE_THREAD) -> np.ndarray:
    return Generator(bundle, OpenVinoBackend(bundle, options, precision)).generate(REQUESTS)


def _with_psnr(bundle: Bundle, psnr: float) -> Bundle:
    parity = {**bundle.manifest.parity, "openvino_bf16": {"psnr": psnr}}
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"parity": parity}))


def test_bf16_only_where_the_bundle_stood_it(bundle: Bundle) -> None:
    assert OpenVinoBackend(_with_psnr(bundle, 34.9)).precision == "f32"
    assert OpenVinoBackend(_with_psnr(bundle, 35.1)).precision == ("bf16" if has_bf16() else "f32")
    assert OpenVinoBackend(_with_psnr(bundle, 34.9), precision="bf16").precision == "bf16"
    never = bundle.manifest.model_copy(update={"parity": {}})
    assert OpenVinoBackend(dataclasses.replace(bundle, manifest=never)).precision == "f32"


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_one_plan_for_every_batch_gives_the_same_bytes(bundle: Bundle, precision: Precision) -> None:
    runner = OpenVinoBackend(bundle, BackendOptions(threads=1, reproducible=True), precision)
    generator = Generator(bundle, runner)
    together = generator.generate(REQUESTS, 2)
    for image, request in zip(together, REQUESTS, strict=True):
        np.testing.assert_array_equal(generator.generate([request], 2)[0], image)
    assert {key[1][0] for key in runner._plans} == {1}


def test_a_plan_is_compiled_once_for_all_processes(bundle: Bundle, cached: Path) -> None:
    first = _draw(bundle)
    kept = {file: file.stat().st_mtime_ns for file in cached.glob(f"*/{ENGINE}")}
    assert len(kept) == 1
    np.testing.assert_array_equal(_draw(bundle), first)
    assert {file: file.stat().st_mtime_ns for file in cached.glob(f"*/{ENGINE}")} == kept
    (manifest,) = cached.glob(f"*/{MANIFEST}")
    assert json.loads(manifest.read_text())["key"]["files"] == bundle.contents("one_step")


def test_other_precisions_weights_and_threads_are_other_plans(bundle: Bundle, cached: Path) -> None:
    _draw(bundle)
    _draw(bundle, "bf16")
    _draw(bundle, options=BackendOptions(threads=2))
    files = {name: "0" * 64 if name.startswith("unet/") else sha for name, sha in bundle.manifest.files.items()}
    retrained = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"files": files}))
    _draw(retrained)
    assert len(list(cached.glob(f"*/{ENGINE}"))) == 4


def test_an_altered_plan_is_compiled_again(bundle: Bundle, cached: Path) -> None:
    first = _draw(bundle)
    (engine,) = cached.glob(f"*/{ENGINE}")
    content = bytearray(engine.read_bytes())
    content[len(content) // 2] ^= 255
    engine.write_bytes(content)
    np.testing.assert_array_equal(_draw(bundle), first)
    assert bytes(content) != engine.read_bytes()


def test_without_a_cache_folder_every_process_compiles(bundle: Bundle, cached: Path) -> None:
    cached.write_text("a file where the folder would be")
    assert _draw(bundle).shape == (5, 16, 16, 3)


def test_there_is_no_gpu_in_it(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="'openvino' runs on cpu, not on cuda; accepted: auto, cpu"):
        backend.load("openvino", bundle, BackendOptions(device="cuda"))
