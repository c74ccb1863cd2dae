"""SANA: a flow-matching transformer as a v-prediction of the trigonometric schedule, at home in stock diffusers."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import SanaPipeline, SanaSprintPipeline, SanaTransformer2DModel
from safetensors.torch import load_file
from transformers import Gemma2Model

from base.errors import BadInput
from models import bases, weight_files
from models import folder as folders
from models.architecture import architecture
from models.noise import gaussian
from models.parts import predict
from models.pipeline import Pipeline
from models.sampling import to_x0
from models.schedule import Schedule
from models.scheduler_configs import student_scheduler
from tests.models import tiny_sana

PROMPTS = ["a Red heart", "", "blue star and more of it than fits"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sana.write(tmp_path_factory.mktemp("sana") / "base")


@pytest.fixture(scope="module")
def teacher(base: Path) -> Pipeline:
    return folders.load(base)


@pytest.fixture(scope="module")
def student(teacher: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sprint") / "student"
    folders.save(replace(teacher, scheduler=student_scheduler(teacher.scheduler)), folder)
    return folder


def test_the_schedule_is_a_quarter_circle_that_ends_in_noise() -> None:
    schedule = Schedule.trigonometric()
    assert np.allclose(np.square(schedule.alpha) + np.square(schedule.sigma), 1)
    assert (schedule.alpha[-1], schedule.sigma[-1]) == (0.0, 1.0)
    assert math.isclose(schedule.alpha[499], math.cos(math.pi / 4))
    assert schedule.prediction_type == "v_prediction"


@pytest.mark.parametrize("timestep", [999, 749, 249, 3])
@torch.no_grad()
def test_x0_is_that_of_the_flow(teacher: Pipeline, base: Path, timestep: int) -> None:
    stock = SanaTransformer2DModel.from_pretrained(base / "transformer").eval()
    conditioning = teacher.condition(PROMPTS)
    sample = torch.randn(3, *teacher.latent_shape, generator=torch.Generator().manual_seed(timestep))
    alpha, sigma = teacher.schedule.alpha[timestep], teacher.schedule.sigma[timestep]
    time = sigma / (alpha + sigma)
    flow = sample / (alpha + sigma)
    text, mask = conditioning.encoder_hidden_states, conditioning.encoder_attention_mask
    output = stock(flow, text, torch.full((3,), 1000 * time), encoder_attention_mask=mask).sample
    expected = flow - time * output
    found = to_x0(sample, predict(teacher.denoiser, sample, timestep, conditioning), alpha, sigma, "v_prediction")
    assert torch.allclose(found, expected, atol=1e-5)


def test_text_and_mask_are_those_of_stock_diffusers(teacher: Pipeline, base: Path) -> None:
    stock = SanaPipeline.from_pretrained(base)
    with torch.no_grad():
        hidden, mask, _, _ = stock.encode_prompt(
            PROMPTS,
            do_classifier_free_guidance=False,
            max_sequence_length=tiny_sana.LENGTH,
            complex_human_instruction=None,
        )
        conditioning = teacher.condition(PROMPTS)
    assert torch.equal(conditioning.encoder_attention_mask, mask.float())
    assert 0 < mask[1].sum() < mask[2].sum() == tiny_sana.LENGTH
    real = mask.bool()
    assert torch.allclose(conditioning.encoder_hidden_states[real], hidden[real], atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_stock_sprint_draws_the_students_images(student: Path, steps: int) -> None:
    ours, stock = folders.load(student), SanaSprintPipeline.from_pretrained(student)
    stock.set_progress_bar_config(disable=True)
    noise = torch.from_numpy(gaussian([3], steps, ours.latent_shape))
    fresh = iter(noise[1:])
    step = stock.scheduler.step

    def with_our_noise(output: Any, timestep: Any, sample: Any, **how: Any) -> Any:
        """Stock draws its own noise between the steps; ours in its place."""
        _, denoised = step(output, timestep, sample, return_dict=False)
        following = stock.scheduler.timesteps[stock.scheduler.step_index]
        data = stock.scheduler.config.sigma_data
        more = next(fresh, torch.zeros_like(sample))
        return torch.cos(following) * denoised + torch.sin(following) * more * data, denoised

    stock.scheduler.step = with_our_noise
    how: dict[str, Any] = {"use_resolution_binning": False, "complex_human_instruction": None, "output_type": "latent"}
    found = stock(
        PROMPTS[0], num_inference_steps=steps, intermediate_timesteps=None, latents=noise[0].clone(), height=32, width=32,
        max_sequence_length=tiny_sana.LENGTH, **how,
    ).images  # fmt: skip
    assert torch.allclose(found, ours.sample([PROMPTS[0]], [3], steps), atol=2e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_saved_student_draws_what_it_drew(teacher: Pipeline, student: Path, steps: int) -> None:
    before = replace(teacher, scheduler=student_scheduler(teacher.scheduler)).sample(PROMPTS, [1, 2, 3], steps)
    again = folders.load(student)
    assert again.is_student and not teacher.is_student
    assert again.denoiser.config["guidance_embeds"] and again.denoiser.time_scale == 1.0  # type: ignore[index, operator]
    assert torch.allclose(again.sample(PROMPTS, [1, 2, 3], steps), before, atol=1e-4)


def test_a_saved_teacher_is_the_base(teacher: Pipeline, base: Path, tmp_path: Path) -> None:
    folders.save(teacher, tmp_path / "saved")
    names = {file.name: file for file in (tmp_path / "saved" / "transformer").iterdir()}
    original = (base / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert names["diffusion_pytorch_model.safetensors"].read_bytes() == original
    assert torch.equal(
        folders.load(tmp_path / "saved").sample(PROMPTS, [1, 2, 3], 3, 2.0), teacher.sample(PROMPTS, [1, 2, 3], 3, 2.0)
    )


def test_what_is_inside(teacher: Pipeline) -> None:
    inside = architecture(teacher.denoiser)
    sample, conditioning = inside.example_inputs(2)
    assert sample.shape == (2, 4, 4, 4) and inside.text_width == 16
    maps = inside.feature_maps(sample, torch.tensor([999, 3]), conditioning)
    assert [tuple(one.shape) for one in maps] == [(2, channels, 4, 4) for channels in inside.feature_channels]
    assert inside.last_weight() is teacher.denoiser.proj_out.weight  # type: ignore[union-attr]
    smaller = inside.reduced({"num_layers": 2})
    assert torch.equal(
        smaller.transformer_blocks[1].ff.conv_inverted.weight,
        teacher.denoiser.transformer_blocks[1].ff.conv_inverted.weight,
    )  # type: ignore[index, union-attr]
    with pytest.raises(BadInput, match="unknown key 'layers'"):
        inside.reduced({"layers": 2})


@pytest.mark.parametrize(
    ("component", "change", "message"),
    [
        (
            "transformer",
            {"_class_name": "SanaVideoTransformer3DModel"},
            "transformer is a SanaVideoTransformer3DModel; SANA's",
        ),
        ("transformer", {"caption_channels": 8}, "the transformer wants text of 8 channels, the text encoder gives 16"),
        ("vae", {"latent_channels": 8}, "the transformer takes 4 channels, its autoencoder has 8"),
        ("text_encoder", {"model_type": "t5"}, "text_encoder is a t5; SANA's is a gemma2"),
    ],
)
def test_what_does_not_belong_together(
    base: Path, tmp_path: Path, component: str, change: dict[str, Any], message: str
) -> None:
    shutil.copytree(base, tmp_path / "odd")
    file = tmp_path / "odd" / component / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(BadInput, match=message):
        folders.load(tmp_path / "odd")


def test_without_its_text_encoder(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "odd", ignore=lambda folder, names: {"text_encoder"} & set(names))
    with pytest.raises(BadInput, match=r"is incomplete: it has no text_encoder/config\.json"):
        folders.load(tmp_path / "odd")


def test_a_text_encoder_that_is_stored_in_bf16_stays_so_where_nothing_trains_it(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    stored = Gemma2Model.from_pretrained(base / "text_encoder", dtype=torch.bfloat16)
    stored.save_pretrained(tmp_path / "base" / "text_encoder")
    assert weight_files.is_narrow(tmp_path / "base" / "text_encoder")
    assert not weight_files.is_narrow(base / "text_encoder")
    with bases.narrow_texts():
        narrow, wide = folders.load(tmp_path / "base"), folders.load(base)
    usual = folders.load(tmp_path / "base")
    dtypes = [one.conditioner.text_encoder.dtype for one in (narrow, wide, usual)]  # type: ignore[union-attr]
    assert dtypes == [torch.bfloat16, torch.float32, torch.float32]
    assert narrow.denoiser.dtype == torch.float32
    with torch.no_grad():
        found, expected = (one.condition(PROMPTS).encoder_hidden_states for one in (narrow, usual))
    assert torch.allclose(found.float(), expected, atol=0.1)  # type: ignore[union-attr, arg-type]

    # What is saved says no more than what was read, and no less.
    folders.save(narrow, tmp_path / "saved")
    files = [tmp_path / name / "text_encoder" / "model.safetensors" for name in ("base", "saved")]
    ours, theirs = map(load_file, files)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours) and ours.keys() == theirs.keys()
