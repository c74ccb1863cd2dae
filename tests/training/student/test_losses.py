"""Losses against what can be worked out by hand."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from training.student import losses


@pytest.mark.parametrize("game", get_args(losses.Game))
def test_the_two_sides_pull_in_opposite_directions(game: losses.Game) -> None:
    real, fake = torch.tensor([0.4]), torch.tensor([-0.3], requires_grad=True)
    (up,) = torch.autograd.grad(losses.generator(game, real, fake), fake)
    (down,) = torch.autograd.grad(losses.discriminator(game, real, fake), fake)
    assert float(up) < 0 < float(down)


def test_each_game_by_hand() -> None:
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([-2.0, 0.25])
    assert float(losses.discriminator("hinge", real, fake)) == pytest.approx((0.5 + 0) / 2 + (0 + 1.25) / 2)
    assert float(losses.generator("hinge", real, fake)) == pytest.approx(1.75 / 2)
    softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731
    by_hand = (softplus(-0.5) + softplus(-2.0)) / 2 + (softplus(-2.0) + softplus(0.25)) / 2
    assert float(losses.discriminator("non-saturating", real, fake)) == pytest.approx(by_hand, rel=1e-5)
    assert float(losses.discriminator("relativistic", real, real)) == pytest.approx(math.log(2))
    assert float(losses.generator("relativistic", real, real)) == pytest.approx(math.log(2))


def test_the_penalty_of_a_linear_head_is_half_its_squared_weight() -> None:
    weight = torch.randn(3, 2, 2, requires_grad=True)
    penalty = losses.gradient_penalty(lambda inputs: (inputs * weight).flatten(1).sum(dim=1), torch.randn(6, 3, 2, 2))
    assert float(penalty) == pytest.approx(float(weight.square().sum() / 2), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(gradient, weight, atol=1e-5)


def test_the_finite_penalty_expects_the_gradient_penalty() -> None:
    torch.manual_seed(0)
    inputs, weight = torch.randn(20_000, 6), torch.randn(6)
    head = lambda rows: (rows @ weight).tanh()  # noqa: E731
    exact = float(losses.gradient_penalty(head, inputs))
    assert float(losses.finite_penalty(head, inputs, torch.randn_like(inputs))) == pytest.approx(exact, rel=0.03)
