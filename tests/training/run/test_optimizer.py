"""The optimizers see a gradient's values, whatever its layout in memory: those of convolutions come in many."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from training.run.optimizer import OptimizerConfig, StackedMuon, build, orthogonal


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


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_layout_of_a_weight_changes_nothing(name: Literal["adamw", "muon"]) -> None:
    generator = torch.Generator().manual_seed(0)
    start, gradient = (torch.randn(8, 4, 3, 3, generator=generator) for _ in range(2))
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(start.clone().contiguous(memory_format=layout))
        weight.grad = gradient.clone()
        build(OptimizerConfig(name=name, rate=0.1), [weight]).step()  # no vector: AdamW has nothing to do beside Muon
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=1e-2 * float((moved[0] - start).abs().max()))
    assert not torch.equal(moved[0], start)


def test_matrices_stacked_move_as_they_do_alone() -> None:
    """Three shapes, one of them twice and one of them tall, two steps: torch's own Muon, up to the rounding of bf16."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 24), (8, 24), (24, 8), (8, 8)]
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2)]
    ends = []
    for kind in (torch.optim.Muon, StackedMuon):
        weights = [nn.Parameter(start.clone()) for start in starts]
        optimizer = kind(weights, 0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for step in gradients:
            for weight, gradient in zip(weights, step, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
        ends.append([weight.detach() for weight in weights])
    for start, alone, stacked in zip(starts, *ends, strict=True):
        assert float((alone - stacked).norm()) < 0.02 * float((alone - start).norm())


@pytest.mark.parametrize("shape", [(2, 8, 72), (2, 24, 8), (1, 16, 16)])
@pytest.mark.parametrize("rank", [1, 8])
def test_orthogonal_is_the_quintic_iteration(shape: tuple[int, int, int], rank: int) -> None:
    """Beside the iteration as Muon's authors wrote it, in float64; of matrices of rank one too."""
    a, b, c = coefficients = (3.4445, -4.775, 2.0315)
    generator = torch.Generator().manual_seed(0)
    count, rows, columns = shape
    left, right = (
        torch.randn(count, rows, rank, generator=generator),
        torch.randn(count, rank, columns, generator=generator),
    )
    matrices = left @ right
    x = (matrices.mT if rows > columns else matrices).double()
    x = x / x.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    expected = x.mT if rows > columns else x
    torch.testing.assert_close(orthogonal(matrices, coefficients, 5).double(), expected, rtol=0, atol=2e-3)
