"""Losses and the discriminator against what can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from models.conditioning import Conditioning
from tests import tiny
from training import losses
from training.discriminator import Discriminator, encoder_features


def test_equal_logits_cost_log_two_on_both_sides() -> None:
    logits = torch.randn(5)
    assert float(losses.relativistic_discriminator(logits, logits)) == pytest.approx(math.log(2))
    assert float(losses.relativistic_generator(logits, logits)) == pytest.approx(math.log(2))


def test_the_two_sides_pull_in_opposite_directions() -> None:
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0], requires_grad=True)
    (up,) = torch.autograd.grad(losses.relativistic_generator(real, fake), fake)
    (down,) = torch.autograd.grad(losses.relativistic_discriminator(real, fake), fake)
    assert float(up) < 0 < float(down)


def test_the_penalty_of_a_linear_head_is_half_its_squared_weight() -> None:
    weight = torch.randn(3, 2, 2, requires_grad=True)
    penalty = losses.gradient_penalty(lambda inputs: (inputs * weight).flatten(1).sum(dim=1), torch.randn(6, 3, 2, 2))
    assert float(penalty) == pytest.approx(float(weight.square().sum() / 2), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(gradient, weight, atol=1e-5)


@pytest.mark.parametrize("added", [{}, {"addition_embed_type": "text", "addition_embed_type_num_heads": 4}])
def test_features_are_what_the_unets_own_forward_computes(added: dict[str, Any]) -> None:
    pipeline = tiny.teacher()
    unet = pipeline.denoiser = UNet2DConditionModel.from_config({**tiny.unet().config, **added}).eval()
    seen: list[torch.Tensor] = []
    unet.mid_block.register_forward_hook(lambda module, inputs, output: seen.append(output))  # type: ignore[union-attr]
    conditioning = pipeline.condition(["red", "blue"])
    sample, timesteps = torch.randn(2, 4, 4, 4), torch.tensor([3, 700])
    unet(sample, timesteps, **conditioning.arrays())
    features = encoder_features(unet, sample, timesteps, conditioning)  # type: ignore[arg-type]
    assert torch.equal(seen[0], seen[1])
    assert [tuple(feature.shape) for feature in features] == [(2, 16, 4, 4), (2, 32, 2, 2), (2, 32, 2, 2)]


def test_the_discriminator_hears_caption_and_noise_level() -> None:
    pipeline = tiny.teacher()
    discriminator = Discriminator(pipeline.denoiser, 8)  # type: ignore[arg-type]
    conditioning: Conditioning = pipeline.condition(["red", "blue"])
    features = [torch.randn(1, 16, 4, 4).repeat(2, 1, 1, 1), *(torch.randn(1, 32, 2, 2).repeat(2, 1, 1, 1),) * 2]
    by_caption = discriminator(features, discriminator.condition(conditioning, torch.tensor([5, 5])))
    assert all(float(logits[0]) != float(logits[1]) for logits in by_caption)
    same = conditioning.map(lambda array: array[:1].repeat(2, 1, 1))
    by_level = discriminator(features, discriminator.condition(same, torch.tensor([5, 900])))
    assert all(float(logits[0]) != float(logits[1]) for logits in by_level)
