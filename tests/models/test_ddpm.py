"""The pixel family: labels, the identity, its schedules, and its folder on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from base.errors import BadInput
from metrics.sharpness import psnr
from models import ddpm
from models import folder as folders
from models.schedule import Prediction, Schedule
from models.scheduler_configs import teacher_scheduler
from tests import tiny

UNET = {**tiny.UNET, "sample_size": 8}


def from_parts(**values: Any) -> ddpm.Pipeline:
    return folders.build(folders.from_scratch({"family": "ddpm", "unet": UNET, "width": 8, **values}), Path)


def test_labels_are_one_token_each_and_the_last_row_is_the_null_condition() -> None:
    conditioner = ddpm.ClassConditioner(("a", "b", "c"), 8)
    ids = conditioner.tokenize(["b", 0, ""])
    assert ids.tolist() == [[1], [0], [3]] and ids.dtype == torch.int64
    hidden = conditioner(ids).encoder_hidden_states
    assert hidden.shape == (3, 1, 8)
    assert torch.equal(hidden[2, 0], conditioner.embedding.weight[3])


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(BadInput, match="label 4 is out of range; accepted: 0 to 3"):
        tiny.pixel_teacher().generate([4], [0])


def test_the_identity_averages_and_repeats() -> None:
    autoencoder = ddpm.PixelAutoencoder(1, 2)
    latents = torch.rand(2, 1, 4, 4)
    images = autoencoder.decode(latents)
    assert images.shape == (2, 3, 8, 8)
    assert torch.equal(images[:, 0], images[:, 2])
    assert torch.equal(images[:, :, ::2, ::2], images[:, :, 1::2, 1::2])
    assert torch.allclose(autoencoder.encode(images), latents)
    colour = torch.zeros(1, 3, 2, 2)
    colour[:, 0] = 1
    assert torch.allclose(autoencoder.encode(colour), torch.full((1, 1, 1, 1), 1 / 3))
    rgb = torch.rand(1, 3, 4, 4)
    assert torch.equal(ddpm.PixelAutoencoder(3, 1).decode(ddpm.PixelAutoencoder(3, 1).encode(rgb)), rgb)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("classes", [tiny.CLASSES, ()])
def test_saved_and_opened_draws_the_same(tmp_path: Path, dtype: torch.dtype, classes: tuple[str, ...]) -> None:
    pipeline = tiny.pixel_student(classes=classes)
    inputs = ["blue", 3, ""]
    before = pipeline.generate(inputs, [1, 2, 3])
    folders.save(pipeline, tmp_path / "student", dtype)
    opened = folders.load(tmp_path / "student")
    assert (opened.classes, opened.inputs, opened.task) == (pipeline.classes, pipeline.inputs, pipeline.task)
    assert opened.scheduler["_class_name"] == "LCMScheduler"
    assert psnr(opened.generate(inputs, [1, 2, 3]), before) > 45
    assert np.array_equal(pipeline.generate(inputs, [1, 2, 3]), before), "saving must not change what is saved"
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_the_folder_is_laid_out_as_diffusers_does(tmp_path: Path) -> None:
    folders.save(tiny.pixel_teacher(), tmp_path / "teacher")
    index = json.loads((tmp_path / "teacher" / "model_index.json").read_text())
    assert index["_class_name"] == "DDPMPipeline"
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    files = {path.relative_to(tmp_path / "teacher").as_posix() for path in (tmp_path / "teacher").rglob("*.*")}
    weights = folders.weights(tiny.pixel_teacher())
    assert {weights["conditioner"], weights["denoiser"]} < files
    assert {"autoencoder/config.json", "conditioner/config.json", "scheduler/scheduler_config.json"} < files
    assert not any("_name_or_path" in path.read_text() for path in tmp_path.rglob("config.json"))


def test_labels_and_guidance_change_the_picture() -> None:
    teacher = tiny.pixel_teacher()
    plain, other, guided = (
        teacher.generate([label], [5], steps=4, guidance=weight) for label, weight in ((0, 1.0), (1, 1.0), (0, 3.0))
    )
    assert plain.shape == (1, 16, 16, 3)
    assert not np.array_equal(plain, other) and not np.array_equal(plain, guided)


def test_the_task_follows_from_the_classes() -> None:
    assert (from_parts(classes=3).task, from_parts(classes=3).classes) == ("class-to-image", ("0", "1", "2"))
    assert from_parts(classes=["cat", "dog"]).inputs == ("label",)
    alone = from_parts()
    assert (alone.task, alone.inputs, alone.classes) == ("unconditional-image-generation", (), ())
    assert alone.denoiser.config["in_channels"] == 3


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_every_schedule_is_diffusers_and_ends_in_noise_where_the_prediction_allows(
    prediction: Prediction, beta_schedule: str
) -> None:
    config = teacher_scheduler(prediction, beta_schedule)
    ours = Schedule.from_config(config)
    theirs = diffusers.DDIMScheduler.from_config(config).alphas_cumprod
    np.testing.assert_allclose(np.square(ours.alpha), theirs.numpy(), atol=1e-5)
    assert (ours.alpha[-1] == 0.0) == (prediction != "epsilon")
    assert ours.prediction_type == prediction


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_every_prediction_draws_in_one_step_and_in_many(prediction: Prediction) -> None:
    teacher, student = tiny.pixel_teacher(prediction=prediction), tiny.pixel_student(prediction=prediction)
    assert teacher.generate(["red"], [0], steps=5, guidance=2.0).std() > 0
    assert student.generate(["red"], [0], steps=4).std() > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prediction": "epsilon", "zero_snr": True}, "zero_snr with prediction epsilon"),
        ({"classes": -1}, "classes.*greater than or equal to 0"),
        ({"classes": ["a", "a"]}, "names of classes must be distinct"),
        ({"clases": 3}, "ddpm: unknown key 'clases'; did you mean 'classes'?"),
        ({"channels": 2}, "channels"),
        ({"family": "dpm"}, "no family 'dpm': .*did you mean 'ddpm'"),
        ({"family": "noise"}, "no family 'noise'"),
    ],
)
def test_parts_that_make_no_sense_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        from_parts(**values)
    assert "\n" not in str(caught.value)


def test_another_kind_of_ddpm_is_refused(tmp_path: Path) -> None:
    folders.save(tiny.pixel_teacher(), tmp_path / "model")
    index = json.loads((tmp_path / "model" / "model_index.json").read_text())
    index.pop("conditioner")
    (tmp_path / "model" / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match="its conditioner is nothing; accepted: ClassConditioner"):
        folders.load(tmp_path / "model")
