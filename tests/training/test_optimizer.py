"""The optimizers see a gradient's values, whatever its layout in memory: those of convolutions come in many."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from training.optimizer import OptimizerConfig, build


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_layout_of_a_gradient_changes_nothing(name: Literal["adamw", "muon"]) -> None:
    generator = torch.Generator().manual_seed(0)
    start, gradient = (torch.randn(8, 4, 3, 3, generator=generator) for _ in range(2))
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight, bias = nn.Parameter(start.clone()), nn.Parameter(torch.zeros(8))
        weight.grad, bias.grad = gradient.contiguous(memory_format=layout), torch.ones(8)
        build(OptimizerConfig(name=name, rate=0.1), [weight, bias]).step()
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=1e-6)
    assert not torch.equal(moved[0], start)
