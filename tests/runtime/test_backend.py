"""Backends by name, and the deployed path without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import BadInput
from runtime import backend
from runtime.bundle import Bundle

ROOT = Path(__file__).parents[2]

DEPLOYED = """
import sys
sys.modules.update(torch=None, diffusers=None, transformers=None, onnx=None)  # importing them now raises
from runtime import backend
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request
bundle = open_bundle(sys.argv[1])
for name in ("ort", "openvino"):
    generator = Generator(bundle, backend.load(name, bundle, threads=1))
    for steps in generator.steps:
        print(name, steps, generator.generate([Request("a cat", 7)], steps).shape)
"""


def test_auto_takes_the_fastest_that_is_there(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.load("auto", bundle).name == "openvino"
    monkeypatch.setitem(backend.NEEDS, "openvino", "no_such_package")
    assert backend.load("auto", bundle).name == "ort"


def test_an_unknown_backend_names_the_nearest(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="unknown backend 'openvion'; did you mean 'openvino'"):
        backend.load("openvion", bundle)
    with pytest.raises(BadInput, match="accepted: auto, eager, openvino, ort, trt"):
        backend.load("§§§", bundle)


def test_a_backend_that_is_not_installed_names_the_extra(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.NEEDS, "openvino", "no_such_package")
    with pytest.raises(BadInput, match=r"not installed: pip install 'ippo\[serve\]'"):
        backend.load("openvino", bundle)
    with pytest.raises(BadInput, match=r"'trt' is not installed: pip install 'ippo\[trt\]'"):
        backend.load("trt", bundle)  # its stubs, which the linters read, are no TensorRT
    for name in backend.NEEDS:
        monkeypatch.setitem(backend.NEEDS, name, "no_such_package")
    with pytest.raises(BadInput, match="not installed"):
        backend.load("auto", bundle)


def test_the_deployed_path_draws_without_torch(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", DEPLOYED, str(tiny_bundle)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{name} {steps} (1, 16, 16, 3)" for name in ("ort", "openvino") for steps in (1, 2, 3, 4)
    ]
