"""What ships: stock diffusers opens teacher and student and draws our pictures, within the size that was promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from metrics.sharpness import psnr
from models import folder as folders
from models.noise import gaussian
from runtime.bundle import open_bundle

SHIPPED = Path(__file__).parents[2] / "models" / "pretrained" / "emoji"
PROMPTS = ["red heart", "panda on green"]


def stock_images(folder: Path, shape: tuple[int, ...], steps: int, guidance: float) -> np.ndarray:  # type: ignore[type-arg]
    stock = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    latents = torch.from_numpy(gaussian([1, 2], 1, shape)[0])
    drawn = stock(PROMPTS, num_inference_steps=steps, guidance_scale=guidance, latents=latents, output_type="np")
    return np.asarray((drawn.images * 255).round())


def test_stock_diffusers_draws_the_shipped_students_picture() -> None:
    student = folders.load(SHIPPED / "student")
    theirs = stock_images(SHIPPED / "student", student.latent_shape, 1, 0.0)
    assert psnr(student.generate(PROMPTS, [1, 2]), theirs) > 40


def test_stock_diffusers_draws_the_shipped_teachers_picture() -> None:
    teacher = folders.load(SHIPPED / "teacher")
    theirs = stock_images(SHIPPED / "teacher", teacher.latent_shape, 5, 2.0)
    assert psnr(teacher.generate(PROMPTS, [1, 2], steps=5, guidance=2.0), theirs) > 40


def test_the_bundle_is_whole_and_passed_its_gate() -> None:
    parity = open_bundle(SHIPPED / "student").manifest.parity
    assert parity["ort"]["psnr"] >= 35
    assert parity["openvino"]["psnr"] >= 35


def test_teacher_and_student_stay_within_34_megabytes() -> None:
    folders_shipped = (SHIPPED / "student", SHIPPED / "teacher")
    files = [path for folder in folders_shipped for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 34 << 20
