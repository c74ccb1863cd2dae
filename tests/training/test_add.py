"""The gates of adversarial distillation, on tiny real networks: who gets a gradient, in which range, from what."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from models import folder as folders
from models.folder import load
from models.pipeline import from_uint8
from tests import tiny
from training import launch
from training.add import AddMethod, StudentConfig
from training.data.folder import ImageFolder
from training.draws import Draws


@pytest.fixture
def config(data: Path, runs: Path, tmp_path: Path) -> StudentConfig:
    folders.save(tiny.teacher(), tmp_path / "teacher")
    rate = {"rate": 1e-3}
    return StudentConfig.parse(
        {
            "run": "student",
            "teacher": str(tmp_path / "teacher"),
            "data": str(data),
            "captions": ["text", "text_fr"],
            "pairs": {"count": 8, "steps": 2},
            "timesteps": {999: 0.5, 499: 0.5},
            "warmup": 2,
            "warmup_optimizer": rate,
            "adversarial": {"optimizer": rate, "discriminator": rate, "width": 8, "distillation": 0.5},
            "loop": {"steps": 4, "batch": 4, "validate_every": 2, "log_every": 1},
        },
        "test",
    )


@pytest.fixture
def method(config: StudentConfig) -> AddMethod:
    return AddMethod(config)


def draws(seed: int = 0, count: int = 4) -> Draws:
    return Draws.at(seed, 0, range(count), torch.device("cpu"))


def test_the_adversarial_gradient_reaches_the_student_and_nobody_else(method: AddMethod) -> None:
    terms = method.deceive([0, 1, 2, 3], draws())
    gradients = torch.autograd.grad(terms["adversarial"], list(method.student.parameters()), allow_unused=True)
    assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
    teacher = [*method.teacher.denoiser.parameters(), *method.teacher.conditioner.parameters()]
    assert not any(weight.requires_grad for weight in teacher)


def test_the_discriminator_phase_gives_the_student_no_gradient(method: AddMethod) -> None:
    total = method.discern([0, 1, 2, 3], draws())["total"]
    gradients = torch.autograd.grad(
        total, [*method.student.parameters(), *method.discriminator.parameters()], allow_unused=True
    )
    students = len(list(method.student.parameters()))
    assert all(gradient is None for gradient in gradients[:students])
    assert sum(float(gradient.abs().sum()) for gradient in gradients[students:] if gradient is not None) > 0


def test_student_and_teacher_are_two_objects_with_the_same_start(method: AddMethod) -> None:
    pairs = zip(method.student.parameters(), method.teacher.denoiser.parameters(), strict=True)
    for ours, theirs in pairs:
        assert ours is not theirs
        assert ours.data_ptr() != theirs.data_ptr()
        assert torch.equal(ours, theirs)


def test_reals_and_fakes_reach_the_discriminator_with_one_dtype_and_scale(method: AddMethod) -> None:
    real, conditioning = method._reals([0, 1, 2, 3], draws())
    _, real_features, fake_features = method._features(real, real.clone(), conditioning, draws())
    for ours, theirs in zip(real_features, fake_features, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs), "the same latents must look the same from both sides"


def test_reals_are_the_encoded_images(method: AddMethod, data: Path) -> None:
    real, _ = method._reals([5], draws(count=1))
    images = from_uint8(ImageFolder(data, "train").images([5]))
    with torch.no_grad():
        assert torch.allclose(real, method.teacher.autoencoder.encode(images), atol=1e-5)


def test_at_the_last_timestep_the_student_sees_pure_noise(method: AddMethod) -> None:
    alpha, sigma = method.tables.at(torch.tensor([999]))
    assert float(alpha) == 0.0
    assert float(sigma) == 1.0
    alone = copy.deepcopy(method)
    alone.config = method.config.model_copy(update={"timesteps": {999: 1.0}})
    real, conditioning = method._reals([0, 1, 2, 3], draws())
    first = alone._fake(real, conditioning, draws(3))
    assert torch.equal(first, alone._fake(real * -7, conditioning, draws(3)))


def test_one_batch_can_be_overfitted_by_the_warm_up(method: AddMethod) -> None:
    optimizer = torch.optim.AdamW(method.student.parameters(), 3e-3)
    first = last = 0.0
    for step in range(80):
        total = method.regress([0], draws())["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        first, last = (float(total), float(total)) if step == 0 else (first, float(total))
    assert last < first / 4


def test_the_distillation_target_carries_no_gradient(method: AddMethod) -> None:
    real, conditioning = method._reals([0, 1, 2, 3], draws())
    fake = real.clone().requires_grad_(True)
    term = method._distil(fake, conditioning, draws())
    (gradient,) = torch.autograd.grad(term, fake)
    # With the target cut off, the gradient is 2·c(t)·(fake − target)/size: moving along it must lower the term.
    with torch.no_grad():
        nearer = method._distil(fake - 0.5 * fake.numel() * gradient * 0.1, conditioning, draws())
    assert float(gradient.abs().sum()) > 0
    assert torch.isfinite(nearer)


def test_a_run_trains_through_all_phases_and_saves_a_student(config: StudentConfig, runs: Path, tmp_path: Path) -> None:
    config.write(tmp_path / "student.yaml")
    launch.launch("student", tmp_path / "student.yaml")
    student = load(runs / "student" / "model")
    assert student.scheduler["_class_name"] == "LCMScheduler"
    assert student.generate(["red", "blue"], [1, 2], steps=4).shape == (2, 16, 16, 3)
    logged = (runs / "student" / "metrics.jsonl").read_text()
    for name in ("warmup/total", "discriminator/penalty", "generator/adversarial", "validation/score"):
        assert name in logged


def test_a_student_of_pixels_is_distilled_by_the_same_method(
    config: StudentConfig, data: Path, runs: Path, tmp_path: Path
) -> None:
    folders.save(tiny.pixel_teacher(), tmp_path / "pixels")
    labelled = config.model_copy(update={"teacher": str(tmp_path / "pixels"), "captions": ["label"]})
    labelled.write(tmp_path / "student.yaml")
    launch.launch("student", tmp_path / "student.yaml")
    student = load(runs / "student" / "model")
    assert (student.task, student.scheduler["_class_name"]) == ("class-to-image", "LCMScheduler")
    assert student.generate(["red", 2], [1, 2], steps=4).shape == (2, 16, 16, 3)
