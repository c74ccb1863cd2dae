"""The paper's game in pixels on real pretrained features: mixed maps, gradients to the picture alone, named by a folder."""

from __future__ import annotations

from pathlib import Path

import torch

from models.conditioning import Conditioning
from tests.training.student.conftest import Opened, batch
from training.student.adversarial import Adversarial
from training.student.discriminator_features import View
from training.student.pixel_features import open_pixel_features
from training.student.projected_features import BLOCKS, WIDTH, ProjectedFeatures

STILL = View(torch.zeros(2).long(), torch.zeros(2, 3, 64, 64))


def test_fine_maps_hear_of_coarse_ones_and_nothing_learns(efficientnet_lite0: Path) -> None:
    features = open_pixel_features(str(efficientnet_lite0), lambda pixels: pixels)
    assert isinstance(features, ProjectedFeatures) and not features.noisy
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    maps = features(pictures, STILL, Conditioning())
    assert [tuple(one.shape) for one in maps] == [(2, WIDTH, side, side) for side in (16, 8, 4, 2)]
    assert len(features.channels) == len(BLOCKS) and set(features.channels) == {WIDTH}
    (gradient,) = torch.autograd.grad(maps[0].square().sum(), pictures)
    assert float(gradient.abs().sum()) > 0
    frozen = [*features.network.parameters(), *features.across.parameters(), *features.down.parameters()]
    assert not any(weight.requires_grad for weight in frozen)

    again = ProjectedFeatures(efficientnet_lite0, lambda pixels: pixels)
    assert torch.equal(again(pictures, STILL, Conditioning())[0], maps[0]), "a run that goes on has the same game"
    with torch.no_grad():
        again.across[-1].weight.zero_()  # of the coarsest map
        assert not torch.allclose(again(pictures, STILL, Conditioning())[0], maps[0])


def test_the_game_is_played_on_a_few_decoded_pictures(opened: Opened, efficientnet_lite0: Path) -> None:
    method = opened(adversarial__features=str(efficientnet_lite0), adversarial__samples=2)
    (game,) = (term for term in method.terms.values() if isinstance(term, Adversarial))
    one = batch(method)
    (gradient,) = torch.autograd.grad(game.loss(one), one.fake)
    assert [float(row.abs().sum()) > 0 for row in gradient] == [True, True, False, False]
    losses = game.discriminator_step(batch(method))
    assert float(losses["penalty"]) > 0 and 0 <= float(losses["accuracy"]) <= 1
