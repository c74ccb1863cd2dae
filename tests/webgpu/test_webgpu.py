"""WebGPU on a GPU in software, the one that Chromium brings, beside the CPU provider: the same images (make webgpu).

`onnxruntime-webgpu` is another build of ONNX Runtime, so it runs in an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from base.shipped import ROOT
from export.write_bundle import ExportOptions, export
from runtime.bundle import open_bundle

pytestmark = pytest.mark.interop
PYTHON = ROOT / ".venv-webgpu" / "bin" / "python"
CHROMIUM = Path("/usr/lib/chromium")
"""With SwiftShader, a GPU in software, and a Vulkan loader."""
SHIPPED = ["digits", "avatars", "emoji"]

DRAW = """
import json, sys
import numpy as np
from base.errors import BadInput
from models.task import task_of
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request

bundle = open_bundle(sys.argv[1])
requests = [Request(input, seed) for seed, input in enumerate(task_of(bundle.manifest).examples(2))]
draw = lambda device: Generator(bundle, backend.load("ort", bundle, BackendOptions(device=device))).generate(requests)
try:
    difference = (draw("webgpu").astype(int) - draw("cpu")).astype(float)
    print(json.dumps({"mse": (difference ** 2).mean(), "most": abs(difference).max()}))
except BadInput as error:
    print(json.dumps({"refused": str(error)}))
"""


def drawn(bundle: Path, chosen: dict[str, str] | None = None) -> dict[str, float | str]:
    """How far the images of WebGPU are from those of the CPU, or why it draws none."""
    software = {"VK_DRIVER_FILES": str(CHROMIUM / "vk_swiftshader_icd.json"), "LD_LIBRARY_PATH": str(CHROMIUM)}
    environment = {**os.environ, "XDG_RUNTIME_DIR": "/tmp", **(software if chosen is None else chosen)}
    command = [str(PYTHON), "-c", DRAW, str(bundle)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_webgpu_draws_what_the_cpu_draws(name: str, tmp_path: Path) -> None:
    student = ROOT / "models" / "pretrained" / name / "student"
    bundle = export(str(student), tmp_path / name, ExportOptions(precision="fp32"))
    found = drawn(bundle.folder)
    assert "refused" not in found, found
    print(f"{name}: mean square error {found['mse']}, largest difference {found['most']} of 255")
    assert float(found["mse"]) <= 255**2 / 10**5  # a PSNR of 50 dB


def test_fp16_is_refused_where_the_gpu_has_none() -> None:
    bundle = open_bundle(ROOT / "models" / "pretrained" / "digits" / "student")
    expected = "this GPU has no 16-bit floats for WebGPU: export the model with --precision fp32"
    assert drawn(bundle.folder) == {"refused": expected}


def test_without_a_gpu_it_is_one_line() -> None:
    bundle = open_bundle(ROOT / "models" / "pretrained" / "digits" / "student")
    refused = str(drawn(bundle.folder, {"VK_DRIVER_FILES": "/nowhere", "LD_LIBRARY_PATH": str(CHROMIUM)})["refused"])
    assert refused.startswith("WebGPU does not run one_step: ") and "\n" not in refused
