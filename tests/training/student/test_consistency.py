"""Consistency distillation on a tiny student: its boundary, its target, who learns, and where it leads."""

from __future__ import annotations

import pytest
import torch

from base.errors import BadInput
from models import sampling
from models.parts import predict
from tests.training.student.conftest import ALONE, Opened, batch, draws, learn
from training.student.consistency import Consistency

ONLY = {**ALONE, "regression": 0.0, "warmup": 0, "timesteps": {"999": 1.0}}


def consistency(opened: Opened, steps: int = 4, **changes: object) -> Consistency:
    term = opened(**{**ONLY, "consistency": {"steps": steps, "guidance": 1.5}, **changes}).terms["consistency"]
    assert isinstance(term, Consistency)
    return term


def test_at_time_0_the_function_is_the_identity_and_where_the_student_is_used_it_is_its_x0(opened: Opened) -> None:
    term = consistency(opened)
    sample, conditioning = torch.randn(4, 4, 4, 4), term.teacher.condition(["red"] * 4)
    with torch.no_grad():
        assert torch.equal(term.consistency(sample, torch.zeros(4).long(), conditioning), sample)
        for timestep in (999, 749, 499, 249):
            timesteps = torch.full((4,), timestep)
            x0 = term.student.x0(sample, timesteps, conditioning)
            assert torch.allclose(term.consistency(sample, timesteps, conditioning), x0, atol=1e-6)


def test_points_are_those_that_ddim_walks_over(opened: Opened) -> None:
    term = consistency(opened, steps=8)
    assert term.points.tolist() == [999, 874, 749, 624, 499, 374, 249, 124, 0]
    sample, conditioning = torch.randn(2, 4, 4, 4), term.teacher.condition(["red", "blue"])
    walked = sample
    for start, end in zip(term.points[:-1], term.points[1:], strict=True):
        walked = term.teacher_step(walked, start.expand(2), end.expand(2), conditioning)
    with torch.no_grad():
        schedule, denoise = term.teacher.schedule, term.teacher.denoise(conditioning, 1.5)
        assert torch.allclose(walked, sampling.ddim(denoise, sample, schedule.trailing(8), schedule), atol=1e-4)


def test_the_target_and_the_teacher_get_no_gradient(opened: Opened) -> None:
    term = consistency(opened)
    x0, conditioning = torch.randn(4, 4, 4, 4), term.teacher.condition(["red"] * 4)
    loss = term.consistency_loss(x0, conditioning, draws())
    gradients = torch.autograd.grad(loss, term.student.parameters(), allow_unused=True)
    again = draws()
    index = again.integers(4)
    start, end = term.points[index], term.points[index + 1]
    noisy = term.student.add_noise(x0, again.normal(4, 4, 4), start)
    target = term.consistency(term.teacher_step(noisy, start, end, conditioning), end, conditioning).detach()
    by_hand = (term.consistency(noisy, start, conditioning) - target).square().mean()
    assert torch.equal(loss, by_hand)
    for ours, theirs in zip(
        gradients, torch.autograd.grad(by_hand, term.student.parameters(), allow_unused=True), strict=True
    ):
        assert (ours is None and theirs is None) or torch.equal(ours, theirs)
    assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
    assert not any(weight.requires_grad for weight in term.teacher.denoiser.parameters())


def test_the_last_step_aims_at_the_teachers_own_clean_sample(opened: Opened) -> None:
    term = consistency(opened)
    sample, conditioning = torch.randn(1, 4, 4, 4), term.teacher.condition(["red"])
    start, end = term.points[-2:].split(1)
    alpha, sigma = term.student.tables.at(start)
    with torch.no_grad():
        output = term.teacher.denoise(conditioning, 1.5)(sample, start)
    assert torch.equal(term.teacher_step(sample, start, end, conditioning), sample * alpha - output * sigma)


def test_a_student_learns_where_its_teachers_walk_ends(opened: Opened) -> None:
    method = opened(**{**ONLY, "consistency": {"steps": 4, "guidance": 1.5}})
    term, student = method.terms["consistency"], method.student
    start, conditioning = torch.randn(16, 4, 4, 4), method.teacher.condition(["red"] * 16)
    last = torch.full((16,), 999)
    with torch.no_grad():
        schedule, denoise = method.teacher.schedule, method.teacher.denoise(conditioning, 1.5)
        ends = sampling.ddim(denoise, start, schedule.trailing(4), schedule)

    def figures() -> tuple[float, float]:
        with torch.no_grad():
            losses = [float(term.loss(batch(method, seed, 8)) or 0) for seed in range(4)]
            return sum(losses), float((student.x0(start, last, conditioning) - ends).square().mean())

    before = figures()
    learn(method, "consistency", 120)
    after = figures()
    assert after[0] < 0.75 * before[0] and after[1] < 0.75 * before[1], (before, after)


def test_a_timestep_that_nothing_would_teach_is_refused(opened: Opened) -> None:
    with pytest.raises(BadInput, match="steps=5 has no point at the student's timestep 499"):
        consistency(opened, steps=5, timesteps={"999": 0.5, "499": 0.5}, run="odd")


def test_an_epsilon_teachers_student_starts_at_pure_noise(opened: Opened) -> None:
    term = consistency(opened, prediction="v_prediction")
    x0, noise = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 4, 4)
    assert torch.equal(term.student.add_noise(x0, noise, term.points[:1].expand(2)), noise)
    conditioning = term.teacher.condition(["red", "blue"])
    output = predict(term.student.network, noise, term.points[:1].expand(2), conditioning)
    assert torch.allclose(term.consistency(noise, term.points[:1].expand(2), conditioning), -output, atol=1e-5)
