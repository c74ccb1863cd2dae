"""Diffusers folders: stock `StableDiffusionPipeline` opens teacher and student and draws the same picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from base.errors import BadInput
from metrics.sharpness import psnr
from models import folder as folders
from models.noise import gaussian
from models.pipeline import Pipeline
from tests import tiny

PROMPTS = ["red", "a blue heart"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_and_opened_draws_the_same(tmp_path: Path, dtype: torch.dtype) -> None:
    pipeline = tiny.student()
    before = pipeline.generate(PROMPTS, [1, 2])
    folders.save(pipeline, tmp_path / "student", dtype)
    assert psnr(folders.load(tmp_path / "student").generate(PROMPTS, [1, 2]), before) > 45
    assert np.array_equal(pipeline.generate(PROMPTS, [1, 2]), before), "saving must not change what is saved"
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_stock_diffusers_draws_the_students_picture(tmp_path: Path) -> None:
    student = tiny.student()
    folders.save(student, tmp_path / "student")
    stock = StableDiffusionPipeline.from_pretrained(tmp_path / "student")
    latents = torch.from_numpy(gaussian([1, 2], 1, student.latent_shape)[0])
    theirs = stock(PROMPTS, num_inference_steps=1, guidance_scale=0.0, latents=latents, output_type="np").images
    assert psnr(student.generate(PROMPTS, [1, 2]), (theirs * 255).round()) > 40


def test_stock_diffusers_draws_the_teachers_picture(tmp_path: Path) -> None:
    teacher: Pipeline = tiny.teacher()
    folders.save(teacher, tmp_path / "teacher")
    stock = StableDiffusionPipeline.from_pretrained(tmp_path / "teacher")
    latents = torch.from_numpy(gaussian([1, 2], 1, teacher.latent_shape)[0])
    theirs = stock(PROMPTS, num_inference_steps=10, guidance_scale=3.0, latents=latents, output_type="np").images
    assert psnr(teacher.generate(PROMPTS, [1, 2], steps=10, guidance=3.0), (theirs * 255).round()) > 40


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither a run, nor a diffusers folder"):
        folders.load(tmp_path)


@pytest.mark.parametrize("made", [tiny.teacher, tiny.xl_teacher], ids=["one text encoder", "two"])
def test_text_encoders_are_named_as_in_released_checkpoints(made: Callable[[], Pipeline], tmp_path: Path) -> None:
    """Under other names transformers 4 takes none of the weights, and says so in a warning only."""
    folders.save(made(), tmp_path / "saved")
    for part in tmp_path.glob("saved/text_encoder*"):
        names = load_file(part / "model.safetensors").keys() - {"text_projection.weight"}
        assert names and all(name.startswith("text_model.") for name in names)


def test_the_classs_name_says_the_family_and_its_file_knows_other_names(tmp_path: Path) -> None:
    student = tiny.student()
    folders.save(student, tmp_path / "student")
    index = tmp_path / "student" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"))
    opened = folders.load(tmp_path / "student")
    assert np.array_equal(opened.generate(PROMPTS, [1, 2]), student.generate(PROMPTS, [1, 2]))
    index.write_text(index.read_text().replace("StableDiffusionImg2ImgPipeline", "StableDiffusionUpscalePipeline"))
    with pytest.raises(BadInput, match="no family 'stable_diffusion_upscale': a family is a file in models/"):
        folders.load(tmp_path / "student")
    index.write_text(index.read_text().replace("StableDiffusionUpscalePipeline", "OtherPipeline"))
    with pytest.raises(BadInput, match="models/; accepted: ddpm, sana, stable_diffusion, "):
        folders.load(tmp_path / "student")


def test_component_names_are_the_folders_of_every_part(tmp_path: Path) -> None:
    for name, pipeline in {"one": tiny.student(), "two": tiny.xl_teacher(), "pixels": tiny.pixel_student()}.items():
        folders.save(pipeline, tmp_path / name)
    one = {"conditioner": ("text_encoder",), "denoiser": ("unet",), "autoencoder": ("vae",)}
    assert folders.component_names(tmp_path / "one") == one
    assert folders.component_names(tmp_path / "two") == {**one, "conditioner": ("text_encoder", "text_encoder_2")}
    assert folders.component_names(tmp_path / "pixels")["conditioner"] == ("conditioner",)


def test_from_scratch_without_a_family_is_the_one_that_is_its_own_default() -> None:
    config = folders.from_scratch({"vae": "a", "clip": "b", "unet": {}})
    assert type(config).__name__ == "StableDiffusionFromScratch"
    with pytest.raises(BadInput, match="stable_diffusion_xl: give the folder or Hub name of an existing base"):
        folders.from_scratch({"family": "stable_diffusion_xl"})
