"""Published one-step models (SD-Turbo's scheduler) are the students that they are; refusals name the user's own folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
)

from base.errors import BadInput
from commands import export as commands
from export.write_bundle import ExportOptions, export
from metrics.sharpness import psnr
from models import folder as folders
from tests import tiny
from tests.models.test_bases import BETAS, PROMPTS, stock_draws

TURBO: dict[str, Any] = {**BETAS, "timestep_spacing": "trailing", "prediction_type": "epsilon", "steps_offset": 1}


@pytest.fixture
def turbo(tmp_path: Path) -> Path:
    """A tiny base with the scheduler that SD-Turbo is published with."""
    folders.save(tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False), tmp_path / "turbo")
    shutil.rmtree(tmp_path / "turbo/scheduler")
    EulerDiscreteScheduler(**TURBO).save_pretrained(tmp_path / "turbo/scheduler")
    return tmp_path / "turbo"


def test_it_is_a_student_that_draws_what_stock_diffusers_draws(turbo: Path) -> None:
    teacher = folders.load(turbo)
    assert not teacher.is_student  # as a base it is what it was: a teacher may be trained from it
    student = folders.as_student(teacher, turbo, "turbo")
    assert student.is_student and student.schedule.prediction_type == "epsilon"
    stock = stock_draws(turbo, teacher, StableDiffusionPipeline, num_inference_steps=1, guidance_scale=0.0)
    assert psnr(student.generate(PROMPTS, [1, 2]), stock) > 30
    EulerAncestralDiscreteScheduler(**TURBO).save_pretrained(turbo / "scheduler")  # SDXL-Turbo's
    assert folders.as_student(teacher, turbo, "turbo").is_student


@pytest.mark.parametrize(
    "scheduler",
    [
        EulerDiscreteScheduler(**{**TURBO, "timestep_spacing": "leading"}),
        EulerDiscreteScheduler(**{**TURBO, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}),
        DPMSolverMultistepScheduler(**TURBO),
    ],
)
def test_a_teacher_is_refused_by_the_folder_and_scheduler_that_the_user_knows(turbo: Path, scheduler: Any) -> None:
    shutil.rmtree(turbo / "scheduler")
    scheduler.save_pretrained(turbo / "scheduler")
    said = f"^{turbo} is no student: its scheduler is {type(scheduler).__name__}"
    for ask in (
        lambda: commands.export(str(turbo), turbo.parent / "b"),
        lambda: export(str(turbo), turbo.parent / "b", ExportOptions(trained=False)),
    ):
        with pytest.raises(BadInput, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value) and str(caught.value).count("/tmp") == str(turbo).count("/tmp")


@pytest.mark.slow
def test_it_is_exported(turbo: Path, tmp_path: Path) -> None:
    exported = export(str(turbo), tmp_path / "bundle", ExportOptions(trained=False))
    assert exported.schedule.prediction_type == "epsilon"
