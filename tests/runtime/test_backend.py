"""Backends by name, and the deployed path without torch."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from runtime import available, backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from tests import backend_files

ROOT = Path(__file__).parents[2]

DEPLOYED = """
import sys
sys.modules.update(torch=None, diffusers=None, transformers=None, onnx=None)  # importing them now raises
from runtime import backend
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request
bundle = open_bundle(sys.argv[1])
for name in ("ort", "openvino"):
    generator = Generator(bundle, backend.load(name, bundle, backend.BackendOptions(threads=1)))
    for steps in generator.steps:
        print(name, steps, generator.generate([Request("a cat", 7)], steps).shape)
"""


MADE_UP = """
import numpy as np

from runtime.available import BackendInfo
from runtime.backend import Backend

BACKEND = BackendInfo(package="json", extra="made-up", devices=("cpu", "abacus"), rank=7, note="for tests")


class AbacusBackend(Backend):
    name = "abacus"
    planned_only = True

    def __init__(self, options):
        super().__init__(options)
        self.pieces = []

    def batches(self, graph, inputs):
        return (2, 4)

    def run_piece(self, graph, inputs):
        self.pieces.append(len(inputs["noise"]))
        grey = (inputs["noise"][:, :1].repeat(4, 2).repeat(4, 3) * 40 + 128).clip(0, 255).astype(np.uint8)
        return {"images": grey.repeat(3, 1).transpose(0, 2, 3, 1)}


def load(bundle, options):
    return AbacusBackend(options)
"""


@pytest.fixture
def abacus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A backend in one new file."""
    backend_files.add(monkeypatch, tmp_path / "runtime", abacus=MADE_UP)
    yield
    sys.modules.pop("runtime.abacus", None)


@pytest.mark.usefixtures("abacus")
def test_a_backend_is_one_file(bundle: Bundle) -> None:
    assert list(available.backends()) == ["rtx", "openvino", "ort", "eager", "abacus", "trt"]
    assert available.devices() == ["auto", "cuda", "cpu", "webgpu", "abacus"]
    assert "abacus (for tests)" in available.described()
    runner = backend.load("abacus", bundle, BackendOptions(device="abacus"))
    requests = [Request("a cat", seed) for seed in range(7)]
    images = Generator(bundle, runner).generate(requests)
    assert images.shape == (7, 16, 16, 3) and images.std() > 1
    assert runner.pieces == [4, 4]  # type: ignore[attr-defined]  # the last of them filled up
    alone = Generator(bundle, backend.load("abacus", bundle, BackendOptions(reproducible=True)))
    np.testing.assert_array_equal(alone.generate(requests[:1])[0], images[0])
    assert alone.backend.pieces == [2]  # type: ignore[attr-defined]  # it has no smaller plan
    with pytest.raises(BadInput, match="'abacus' runs on cpu and abacus, not on cuda; accepted: auto, cpu, abacus"):
        backend.load("abacus", bundle, BackendOptions(device="cuda"))


@pytest.mark.usefixtures("abacus")
def test_auto_takes_the_fastest_that_runs_on_the_device(bundle: Bundle) -> None:
    assert backend.chosen("auto") == "openvino"
    assert backend.chosen("auto", "cuda") == "ort"
    assert backend.chosen("auto", "abacus") == "abacus"


@pytest.mark.parametrize("name", available.installed())
def test_what_a_file_says_of_itself_is_read_without_importing_it(name: str) -> None:
    assert available.backends()[name] == importlib.import_module(f"runtime.{name}").BACKEND


def test_the_list_of_backends_imports_none_of_them_on_a_system_of_any_encoding() -> None:
    code = "import sys; from runtime import available; print(len(available.described()), {'numpy', 'torch'} & {*sys.modules})"
    command, environment = [sys.executable, "-X", "utf8=0", "-c", code], {**os.environ, "LC_ALL": "C"}  # which is ASCII
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith(" set()\n"), done.stderr


def test_auto_takes_the_fastest_that_is_there(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.load("auto", bundle).name == "openvino"
    backend_files.remove(monkeypatch, tmp_path, "openvino")
    assert backend.load("auto", bundle).name == "ort"


def test_a_backend_without_a_rank_is_used_by_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = 'from runtime.available import BackendInfo\n\nBACKEND = BackendInfo(package="json", extra="", devices=("cpu",))\n'
    backend_files.add(monkeypatch, tmp_path, trt=there)
    assert available.installed()[-1] == backend.chosen("trt") == "trt"
    backend_files.remove(monkeypatch, tmp_path / "others", "openvino", "ort", "eager")
    with pytest.raises(BadInput, match="not installed"):
        backend.chosen("auto")


def test_an_unknown_backend_names_the_nearest(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="unknown backend 'openvion'; did you mean 'openvino'"):
        backend.load("openvion", bundle)
    with pytest.raises(BadInput, match="accepted: auto, eager, openvino, ort, rtx, trt"):
        backend.load("§§§", bundle)


def test_a_backend_that_is_not_installed_names_the_extra(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"'trt' is not installed: pip install 'ippo\[trt\]'"):
        backend.load("trt", bundle)  # its stubs, which the linters read, are no TensorRT
    backend_files.remove(monkeypatch, tmp_path, "openvino", "ort", "eager")
    with pytest.raises(BadInput, match=r"not installed: pip install 'ippo\[serve\]'"):
        backend.load("openvino", bundle)
    with pytest.raises(BadInput, match="not installed"):
        backend.load("auto", bundle)


def test_the_deployed_path_draws_without_torch(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", DEPLOYED, str(tiny_bundle)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{name} {steps} (1, 16, 16, 3)" for name in ("ort", "openvino") for steps in (1, 2, 3, 4)
    ]
