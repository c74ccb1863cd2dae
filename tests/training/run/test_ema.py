"""The moving average: what is frozen is shared, and bf16 follows as f32 does."""

from __future__ import annotations

import torch
from torch import nn

from training.run.ema import Ema, rounded


def test_frozen_weights_are_shared_and_left_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    ema = Ema(network, 0.5, torch.bfloat16)
    assert ema.module[0].weight is network[0].weight  # type: ignore[index]
    assert ema.module[1].weight.dtype == torch.bfloat16  # type: ignore[index]
    ema.update(100)
    assert torch.equal(network[0].weight, before) and network[1].weight.dtype == torch.float32


def test_bf16_follows_small_steps_and_the_same_way_each_time() -> None:
    torch.manual_seed(0)
    network = nn.Linear(64, 64)
    averages = [Ema(network, 0.999, dtype) for dtype in (torch.float32, torch.bfloat16, torch.bfloat16)]
    with torch.no_grad():
        network.weight.add_(1.0)
    for step in range(10_000, 10_500):
        for ema in averages:
            ema.update(step)
    exact, one, two = (ema.module.weight.float() for ema in averages)
    assert float(exact.mean()) > 0.3
    assert abs(float((one - exact).mean())) < 0.01
    assert torch.equal(one, two)


def test_rounding_is_right_on_the_mean() -> None:
    values = torch.full((100_000,), 1.0 + 1 / 512)  # a quarter of the way between two numbers of bf16
    found = rounded(values, torch.Generator().manual_seed(0)).float()
    assert sorted(set(found.tolist())) == [1.0, 1.0 + 1 / 128]
    assert abs(float(found.mean()) - float(values[0])) < 1e-4
