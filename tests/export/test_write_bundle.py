"""Exporting: what comes out, what is refused, and that nothing half-written stays."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline

from base.errors import BadInput
from base.files import sha256
from export.write_bundle import ExportOptions, export
from models import folder, noise
from models.task import task_of
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from tests import tiny

ROOT = Path(__file__).parents[2]
BACKENDS = {"openvino", "ort", "eager"}


def test_the_figures_of_the_gate_are_in_the_manifest(bundle: Bundle) -> None:
    figures = bundle.manifest.parity
    for name in ("conditioner", "denoiser", "decoder", "encoder"):
        assert 0 < figures[name]["relative_error"] < 1e-2
        each = (figures[name]["relative_error 1x16x16"], figures[name]["relative_error 3x32x32"])
        assert figures[name]["relative_error"] == max(each)
    assert set(figures) >= BACKENDS
    assert all(figures[name]["psnr"] > 50 for name in BACKENDS)


def test_there_is_one_copy_of_the_weights(bundle: Bundle) -> None:
    sizes = {name: (bundle.folder / name).stat().st_size for name in bundle.manifest.files}
    weights = sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
    parameters = sum(p.numel() for p in tiny.unet().parameters())
    assert weights > 2 * parameters
    graphs = {name: size for name, size in sizes.items() if name.endswith(".onnx")}
    assert sum(graphs.values()) < 700_000  # structure alone, whatever the size of the weights
    assert sum(sizes.values()) - weights - sum(graphs.values()) < 20_000


def test_stock_diffusers_opens_the_bundle_and_draws_the_same(bundle: Bundle, tiny_bundle: Path) -> None:
    stock = StableDiffusionPipeline.from_pretrained(tiny_bundle, torch_dtype=torch.float32)
    stock.set_progress_bar_config(disable=True)
    assert isinstance(stock.scheduler, LCMScheduler)
    latents = torch.from_numpy(noise.gaussian([7], 1, bundle.manifest.latent_shape)[0])
    options = {"num_inference_steps": 1, "guidance_scale": 0.0, "output_type": "np"}
    theirs = stock("a cat", latents=latents, **options).images[0]
    ours = Generator(bundle, backend.load("ort", bundle)).generate([Request("a cat", 7)])[0]
    assert np.abs(np.rint(theirs * 255) - ours).max() <= 2


def test_a_teacher_is_refused(tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    with pytest.raises(BadInput, match="is no student: its scheduler is DDIMScheduler, a student's is LCMScheduler"):
        export(str(tmp_path / "teacher"), tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model_index"):
        export(str(tmp_path / "nowhere"), tmp_path / "bundle")


def test_what_is_there_already_stays(tiny_student: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="exists already"):
        export(str(tiny_student), tiny_bundle)
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(BadInput, match="is no bundle, so it will not be overwritten"):
        export(str(tiny_student), tmp_path, ExportOptions(overwrite=True))
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_a_failed_gate_names_the_component_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tiny.student()
    with torch.no_grad():
        next(broken.conditioner.text_encoder.parameters()).fill_(torch.nan)  # type: ignore[union-attr, operator]
    folder.save(broken, tmp_path / "broken")
    (tmp_path / ".old.tmp" / "unet").mkdir(parents=True)  # what an export leaves that was killed
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match="conditioner failed the parity gate"):
        export(str(tmp_path / "broken"), tmp_path / "old", ExportOptions(overwrite=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["manifest.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from export import write_bundle
write_bundle._write_graphs = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for out in sys.argv[2:]:
    if (child := os.fork()) == 0:  # the libraries, which take longest, are loaded once
        write_bundle.export(sys.argv[1], Path(out), write_bundle.ExportOptions(trained=False, overwrite=True))
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""


def test_a_killed_export_leaves_no_half_bundle(tiny_student: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """Killed after the weights were written: what was there is still whole; without one there is none."""
    old = Path(shutil.copytree(tiny_bundle, tmp_path / "old"))
    command = [sys.executable, "-c", KILLED, str(tiny_student), str(old), str(tmp_path / "new")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert open_bundle(old).manifest == open_bundle(tiny_bundle).manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new.tmp", ".old.tmp", "old"]
    for name in ("new", ".new.tmp", ".old.tmp"):
        with pytest.raises(BadInput):
            open_bundle(tmp_path / name)


def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_student: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(BadInput, match="cannot be written: ") as raised:
            export(str(tiny_student), tmp_path / "bundle")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_a_graph_with_unknown_inputs_is_refused(name: str, bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    graph = onnx.load(str(copy / "vae/model.onnx"), load_external_data=False)
    graph.graph.input.append(onnx.helper.make_tensor_value_info("surprise", onnx.TensorProto.FLOAT, [1]))
    graph.graph.node.append(onnx.helper.make_node("Identity", ["surprise"], ["unused"]))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("unused", onnx.TensorProto.FLOAT, [1]))
    onnx.save_model(graph, str(copy / "vae/model.onnx"))
    files = {**bundle.manifest.files, "vae/model.onnx": sha256(copy / "vae/model.onnx")}
    strange = Bundle(copy, bundle.manifest.model_copy(update={"files": files}))
    latents = np.zeros((1, 4, 4, 4), np.float32)
    with pytest.raises(BadInput, match=r"decoder takes latent_sample, surprise; this ippo knows latent_sample$"):
        backend.load(name, strange, BackendOptions(threads=1, reproducible=True)).run(
            "decoder", {"latent_sample": latents}
        )


@pytest.mark.slow
def test_float32_is_exact_and_twice_the_size(tiny_student: Path, bundle: Bundle, tmp_path: Path) -> None:
    exact = export(
        str(tiny_student), tmp_path / "b", ExportOptions(trained=False, precision="fp32", captions=("a fox",))
    )
    assert exact.manifest.precision == "fp32" and task_of(exact.manifest).suggestions() == ["a fox"]
    for name in ("conditioner", "denoiser", "decoder", "encoder"):
        assert exact.manifest.parity[name]["relative_error"] < 1e-5
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (exact.folder / weights).stat().st_size > 1.9 * (bundle.folder / weights).stat().st_size
    graph = onnx.load(str(exact.graph("one_step")), load_external_data=False).graph
    kinds = {tensor.data_type for tensor in graph.initializer if tensor.external_data}
    assert kinds == {onnx.TensorProto.FLOAT}
