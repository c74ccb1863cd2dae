"""The perceptual term: nothing for the same pictures, more for worse ones, no gradient to the originals."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from base.errors import BadInput
from training.perceptual import Perceptual, PerceptualConfig


def test_it_rises_with_blur_and_leaves_the_originals_alone(efficientnet_lite0: Path) -> None:
    term = Perceptual(PerceptualConfig(network=str(efficientnet_lite0), weight=0.5))
    originals = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    blurred = [functional.avg_pool2d(originals, size, 1, size // 2) for size in (1, 3, 5)]
    values = [term(one, originals) for one in blurred]
    assert values[0] == 0 and values[0] < values[1] < values[2]
    term(torch.zeros(2, 3, 64, 64, requires_grad=True), originals).backward()
    assert originals.grad is None
    assert not [weight for weight in term.parameters() if weight.requires_grad]


def test_its_weight_scales_it(efficientnet_lite0: Path) -> None:
    images, originals = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    one, three = (Perceptual(PerceptualConfig(network=str(efficientnet_lite0), weight=weight)) for weight in (1.0, 3.0))
    assert torch.allclose(3 * one(images, originals), three(images, originals))


def test_a_missing_network_a_damaged_one_and_a_missing_block_are_named(
    tmp_path: Path, efficientnet_lite0: Path
) -> None:
    with pytest.raises(BadInput, match=r"perceptual: .*nowhere holds no efficientnet-lite"):
        Perceptual(PerceptualConfig(network=str(tmp_path / "nowhere")))
    copied = Path(shutil.copytree(efficientnet_lite0, tmp_path / "copied"))
    (copied / "config.json").write_bytes(b'{"kind": "\xff"}')
    with pytest.raises(BadInput, match=r"perceptual: .*copied holds a damaged efficientnet-lite"):
        Perceptual(PerceptualConfig(network=str(copied)))
    with pytest.raises(BadInput, match=r"perceptual.blocks: accepted are numbers from 0 to 15"):
        Perceptual(PerceptualConfig(network=str(efficientnet_lite0), blocks=(3, 16)))
