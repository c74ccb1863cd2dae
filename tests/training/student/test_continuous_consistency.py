"""Continuous-time consistency on a tiny student: its derivative, its tangent, who learns, and where it leads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from base.errors import BadInput
from models import folder as folders
from models import sampling
from models.parts import predict
from models.per_sample import per_sample
from models.schedule import Schedule
from models.scheduler_configs import student_scheduler, teacher_scheduler
from tests import tiny
from tests.models import tiny_sana
from tests.training.student.conftest import ALONE, Opened, draws, learn
from training.schedule_tables import Angles
from training.student.continuous_consistency import ContinuousConsistency, consistency_tangent, normalised

ONLY = {**ALONE, "regression": 0.0, "warmup": 0, "timesteps": {"999": 1.0}}
TERM = {"guidance": 1.5}


def term_of(opened: Opened, **changes: object) -> ContinuousConsistency:
    term = opened(**{**ONLY, "continuous_consistency": TERM, **changes}).terms["continuous_consistency"]
    assert isinstance(term, ContinuousConsistency)
    return term


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.trigonometric(),
        Schedule.from_config(student_scheduler(teacher_scheduler("v_prediction", "scaled_linear"))),
        Schedule.from_config(teacher_scheduler("epsilon", "linear")),
    ],
)
def test_angles_are_timesteps_and_what_lies_between_them(schedule: Schedule) -> None:
    angles = Angles(schedule)
    timesteps, rate = angles.timesteps(angles.table)
    assert torch.allclose(timesteps, torch.arange(1000.0), atol=2e-3)
    between = (angles.table[1:] + angles.table[:-1]) / 2
    assert torch.allclose(angles.timesteps(between)[0], torch.arange(999.0) + 0.5, atol=2e-3)
    assert torch.allclose(rate[:-1] * angles.table.diff(), torch.ones(999))
    assert angles.within(torch.tensor([0.0, 9.0])).tolist() == [angles.table[0], angles.table[-1]]


@given(st.floats(0.05, 1.57), st.integers(0, 2**31))
def test_no_tangent_is_left_where_the_clean_sample_stands_still(angle: float, seed: int) -> None:
    """Of data that are one point x0 the trajectory is cos φ·x0 + sin φ·ε, and F its velocity: f is x0 everywhere."""
    x0, noise = torch.randn(2, 3, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    cos, sin = torch.tensor(angle, dtype=torch.float64).cos(), torch.tensor(angle, dtype=torch.float64).sin()
    sample, velocity = cos * x0 + sin * noise, cos * noise - sin * x0
    tangent = consistency_tangent(sample, velocity, velocity, -sample, cos, sin)
    assert float(tangent.abs().max()) < 1e-12
    moved = consistency_tangent(sample, velocity + 1, velocity, -sample, cos, sin)
    assert torch.allclose(moved, (-cos * cos).expand_as(moved))


def test_a_tangent_is_as_long_as_one_whatever_it_was_and_nothing_where_it_was_nothing() -> None:
    tangent = torch.randn(3, 4, 8, 8) * torch.tensor([100.0, 1e-6, 0.0])[:, None, None, None]
    lengths = normalised(tangent).square().mean(dim=(1, 2, 3)).sqrt()
    assert lengths[0] == pytest.approx(1, abs=0.01) and lengths[1] < 1e-4 and lengths[2] == 0


@pytest.mark.parametrize("sana", [False, True])
def test_the_derivative_is_that_of_two_points_beside_it_on_the_trajectory(
    opened: Opened, tmp_path: Path, sana: bool
) -> None:
    term = term_of(opened, teacher=str(tiny_sana.write(tmp_path / "sana"))) if sana else term_of(opened)
    sample, conditioning, angle = torch.randn(4, 4, 4, 4), term.teacher.condition(["red"] * 4), torch.rand(4) + 0.3
    velocity = term.velocity(sample, angle, conditioning)
    output, slope = term.derivative(sample, velocity, angle, conditioning)

    def beside(step: float) -> Tensor:
        timesteps = term.angles.timesteps(angle)[0] + step * term.angles.timesteps(angle)[1]
        with torch.no_grad():
            return predict(term.student.network, sample + step * velocity, timesteps, conditioning)

    assert torch.allclose(output, beside(0.0), atol=1e-5)
    assert torch.allclose(slope, (beside(2e-4) - beside(-2e-4)) / 4e-4, atol=0.02 * float(slope.abs().max()))
    assert float(slope.abs().max()) > 0.1


def test_the_gradient_is_the_tangents_and_reaches_the_student_alone(opened: Opened) -> None:
    term = term_of(opened)
    x0, conditioning = torch.randn(4, 4, 4, 4), term.teacher.condition(["red"] * 4)
    parameters = term.student.parameters()
    gradients = torch.autograd.grad(
        term.consistency_loss(x0, conditioning, draws()), parameters, allow_unused=True, materialize_grads=True
    )
    again = draws()
    angle = term.angles.within(torch.exp(1.6 * again.normal()).atan())
    cos, sin = per_sample(angle.cos()), per_sample(angle.sin())
    sample = cos * x0 + sin * again.normal(4, 4, 4)
    velocity = term.velocity(sample, angle, conditioning)
    output, slope = term.derivative(sample, velocity, angle, conditioning)
    tangent = normalised(consistency_tangent(sample, output, velocity, slope, cos, sin))
    learning = predict(term.student.network, sample, term.angles.timesteps(angle)[0], conditioning)
    by_hand = torch.autograd.grad(
        -2 * (learning * tangent).mean(), parameters, allow_unused=True, materialize_grads=True
    )
    for ours, theirs in zip(gradients, by_hand, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0
    assert not any(weight.requires_grad for weight in term.teacher.denoiser.parameters())


@pytest.mark.slow
def test_a_student_learns_where_its_teachers_trajectories_end(opened: Opened, tmp_path: Path) -> None:
    smooth = tiny.teacher()  # random weights behind an embedding of time turn around at every timestep
    with torch.no_grad():
        smooth.denoiser.time_embedding.linear_2.weight.zero_()  # type: ignore[union-attr, operator]
    folders.save(smooth, tmp_path / "smooth")
    method = opened(**{**ONLY, "continuous_consistency": TERM, "teacher": str(tmp_path / "smooth")})
    student = method.student
    start, conditioning = torch.randn(16, 4, 4, 4), method.teacher.condition(["red"] * 16)
    last = torch.full((16,), 999)
    with torch.no_grad():
        schedule, denoise = method.teacher.schedule, method.teacher.denoise(conditioning, 1.5)
        ends = sampling.ddim(denoise, start, schedule.trailing(16), schedule)

    def error() -> float:
        with torch.no_grad():
            return float((student.x0(start, last, conditioning) - ends).square().mean())

    before = error()
    learn(method, "continuous_consistency", 60)
    assert error() < 0.8 * before


def test_a_student_of_another_prediction_is_refused(opened: Opened, tmp_path: Path) -> None:
    folders.save(tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False), tmp_path / "epsilon")
    with pytest.raises(BadInput, match="continuous_consistency with a student of epsilon; accepted: prediction=v_pred"):
        term_of(opened, teacher=str(tmp_path / "epsilon"), run="epsilon")
    term = term_of(opened, teacher=str(tmp_path / "epsilon"), prediction="v_prediction", run="v")
    sample, conditioning = torch.randn(2, 4, 4, 4), term.teacher.condition(["red", "blue"])
    angle = term.teacher_angles.table[[499, 700]]
    output = term.teacher.denoise(conditioning, 1.5)(sample, torch.tensor([499, 700]))
    cos, sin = per_sample(angle.cos()), per_sample(angle.sin())
    by_hand = cos * output - sin * (sample - sin * output) / cos
    assert torch.allclose(term.velocity(sample, angle, conditioning), by_hand, atol=1e-4)
