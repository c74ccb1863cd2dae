"""Bases as they are published: what opens draws what stock diffusers draws, what cannot work is told before it loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)

from base.errors import BadInput
from metrics.sharpness import psnr
from models import folder as folders
from models.noise import gaussian
from models.pipeline import Pipeline
from models.scheduler_configs import student_scheduler
from tests import tiny

PROMPTS = ["red", "a blue heart"]
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
PUBLISHED = {
    "1.4": PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1),
    "2.1": DDIMScheduler(**BETAS, prediction_type="v_prediction", set_alpha_to_one=False, steps_offset=1),
    "turbo": EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing"),
}


def stock_draws(folder: Path, pipeline: Pipeline, kind: Any, **how: Any) -> np.ndarray:  # type: ignore[type-arg]
    latents = torch.from_numpy(gaussian([1, 2], 1, pipeline.latent_shape)[0])
    stock = kind.from_pretrained(folder)
    return (stock(PROMPTS, latents=latents, output_type="np", **how).images * 255).round()  # type: ignore[no-any-return]


@pytest.fixture(params=["1.4", "2.1", "turbo"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny base with the scheduler that the real one comes with."""
    folders.save(tiny.teacher(), tmp_path / "base")
    shutil.rmtree(tmp_path / "base" / "scheduler")
    PUBLISHED[request.param].save_pretrained(tmp_path / "base" / "scheduler")
    return tmp_path / "base"


def test_a_published_base_is_saved_as_stock_diffusers_samples_it(published: Path, tmp_path: Path) -> None:
    teacher = folders.load(published)
    folders.save(teacher, tmp_path / "saved")
    theirs = stock_draws(
        tmp_path / "saved", teacher, StableDiffusionPipeline, num_inference_steps=8, guidance_scale=3.0
    )
    assert psnr(teacher.generate(PROMPTS, [1, 2], steps=8, guidance=3.0), theirs) > 40


def test_half_precision_variants_open(tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    stock = StableDiffusionPipeline.from_pretrained(tmp_path / "base", torch_dtype=torch.float16)
    stock.save_pretrained(tmp_path / "half", variant="fp16")
    images = [folders.load(tmp_path / name).generate(PROMPTS, [1, 2]) for name in ("base", "half")]
    assert psnr(images[0], images[1]) > 40
    for part, file in (("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):  # mixed, as some are
        shutil.copy(tmp_path / "base" / part / f"{file}.safetensors", tmp_path / "half" / part)
        (tmp_path / "half" / part / f"{file}.fp16.safetensors").unlink()
    assert psnr(folders.load(tmp_path / "half").generate(PROMPTS, [1, 2]), images[0]) > 40


@pytest.mark.parametrize("guided", [False, True])
def test_xl_draws_what_stock_diffusers_draws(tmp_path: Path, guided: bool) -> None:
    pipeline = tiny.xl_teacher()
    how: dict[str, Any] = {"num_inference_steps": 8, "guidance_scale": 3.0}
    if not guided:
        pipeline.scheduler = student_scheduler(pipeline.scheduler)
        how = {"num_inference_steps": 1, "guidance_scale": 0.0}
    folders.save(pipeline, tmp_path / "xl")
    theirs = stock_draws(tmp_path / "xl", pipeline, StableDiffusionXLPipeline, **how)
    for ours in (pipeline, folders.load(tmp_path / "xl")):
        images = ours.generate(PROMPTS, [1, 2], 8, 3.0) if guided else ours.generate(PROMPTS, [1, 2])
        assert psnr(images, theirs) > 40
    assert json.loads((tmp_path / "xl" / "unet" / "config.json").read_text())["_class_name"] == "UNet2DConditionModel"


def _config(folder: Path, part: str, **changes: Any) -> None:
    file = folder / part / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda base: (base / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "no unet/diffusion_pytorch"),
        (
            lambda base: (base / "vae" / "diffusion_pytorch_model.safetensors").rename(base / "vae" / "a.bin"),
            "can hold code",
        ),
        (lambda base: shutil.rmtree(base / "text_encoder"), "no text_encoder/config.json"),
        (lambda base: shutil.rmtree(base / "tokenizer"), "no tokenizer/vocab.json"),
        (lambda base: _config(base, "unet", in_channels=9), "inpainting"),
        (lambda base: _config(base, "unet", cross_attention_dim=768), "wants text of 768 channels"),
        (lambda base: (base / "vae" / "config.json").write_text("{"), "is not JSON"),
    ],
)
def test_what_cannot_be_a_base_is_told(tmp_path: Path, spoil: Any, said: str) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    spoil(tmp_path / "base")
    with pytest.raises(BadInput, match=said) as caught:
        folders.load(tmp_path / "base")
    assert "\n" not in str(caught.value)
