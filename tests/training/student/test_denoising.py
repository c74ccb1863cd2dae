"""Denoising of the data on a tiny student: who learns, from what, and that captions are learnt from pure noise."""

from __future__ import annotations

import pytest
import torch

from base.errors import BadInput
from tests.training.student.conftest import ALONE, Opened, batch, draws, learn

ONLY = {**ALONE, "regression": 0.0, "warmup": 0, "denoising": {"weight": 2.0}}


def test_the_loss_is_the_weighted_error_of_the_noised_data_and_reaches_the_student_alone(opened: Opened) -> None:
    method = opened(**ONLY)
    student, batched, again = method.student, batch(method), draws()
    loss = method.terms["denoising"].loss(batched)
    assert loss is not None
    timesteps = student.draw_timesteps(again)
    noisy = student.add_noise(batched.images, again.normal(*batched.images.shape[1:]), timesteps)
    x0 = student.x0(noisy, timesteps, batched.image_conditioning)
    assert torch.allclose(loss, 2.0 * (x0 - batched.images).square().mean())
    loss.backward()
    assert sum(float(weight.grad.abs().sum()) for weight in student.parameters() if weight.grad is not None) > 0
    assert all(weight.grad is None for weight in method.teacher.denoiser.parameters())


def test_it_draws_no_pairs_and_is_judged_by_the_data(opened: Opened) -> None:
    method = opened(**ONLY)
    assert "pairs" not in method.training_set.__dict__
    assert method.terms["denoising"].leads_to == "data"


def test_pure_noise_and_a_caption_lead_to_the_captions_picture(opened: Opened) -> None:
    method = opened(**{**ONLY, "timesteps": {"999": 1.0}})
    images = method.training_set.batch(range(8), draws(7, 8))

    def distance() -> float:
        noise, last = (
            torch.randn(8, *images.images.shape[1:], generator=torch.Generator().manual_seed(3)),
            torch.full((8,), 999),
        )
        with torch.no_grad():
            x0 = method.student.x0(noise, last, images.image_conditioning)
        return float((x0 - images.images).square().mean())

    before = distance()
    learn(method, "denoising", 120)
    assert distance() < 0.6 * before


def test_a_term_of_no_weight_teaches_nothing_and_is_refused(opened: Opened) -> None:
    with pytest.raises(BadInput, match="after the warm-up no term is left"):
        opened(**{**ONLY, "denoising": {"weight": 0.0}})
