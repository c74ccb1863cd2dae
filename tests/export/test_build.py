"""Exporting: what comes out, what is refused, and that nothing half-written stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline

from export.build import export
from export.bundle import Bundle
from export.generator import Generator, Request
from models import folder, noise
from models.errors import BadInput
from tests import tiny

BACKENDS = {"openvino", "ort", "eager"}


def test_the_figures_of_the_gate_are_in_the_manifest(bundle: Bundle) -> None:
    figures = bundle.manifest.parity
    for name in ("conditioner", "denoiser", "decoder", "encoder"):
        assert 0 < figures[name]["relative_error"] < 1e-2
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
    from export import backend

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
        export(str(tiny_student), tmp_path, overwrite=True)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_a_failed_gate_names_the_component_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tiny.student()
    with torch.no_grad():
        next(broken.conditioner.text_encoder.parameters()).fill_(torch.nan)  # type: ignore[union-attr, operator]
    folder.save(broken, tmp_path / "broken")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match="conditioner failed the parity gate"):
        export(str(tmp_path / "broken"), tmp_path / "old", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["manifest.json"]
