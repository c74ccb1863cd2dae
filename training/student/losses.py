"""Losses of adversarial distillation, each with its source; they know tensors only.

Logits are one number a sample, `(N,)`; relativistic losses compare the logits of a real and a fake that share a caption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Game = Literal["relativistic", "hinge", "non-saturating"]
"""Relativistic pairing (arXiv 1807.00734), hinge (arXiv 1705.02894; ADD's own), non-saturating (arXiv 1406.2661)."""

Penalty = Literal["r1+r2", "r1", "approximate", "none"]
"""R1 on reals and R2 on fakes (R3GAN, arXiv 2501.05441), R1 alone, or its finite difference."""


def discriminator(game: Game, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises; logits `(N,)`."""
    match game:
        case "relativistic":  # R3GAN, equation 2
            return functional.softplus(fake - real).mean()
        case "hinge":  # ADD, equation 3
            return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
        case "non-saturating":
            return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def generator(game: Game, real: Tensor, fake: Tensor) -> Tensor:
    """What the student minimises in the same game, a scalar of logits `(N,)`; only the relativistic one looks at `real`."""
    match game:
        case "relativistic":
            return functional.softplus(real - fake).mean()
        case "hinge":  # ADD, equation 2
            return -fake.mean()
        case "non-saturating":
            return functional.softplus(-fake).mean()


def gradient_penalty(head: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Zero-centred penalty ½·E‖∇D‖² on the *input of a head*: R1 on reals, R2 on fakes (arXiv 1801.04406, equation 9).

    Inputs `(N, …)` → a scalar. ADD takes it there and not on pixels (arXiv 2311.17042, section 3.2): no second backward
    through the feature network.
    """
    leaves = inputs.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(head(leaves).sum(), leaves, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


def finite_penalty(head: Callable[[Tensor], Tensor], inputs: Tensor, noise: Tensor, sigma: float = 0.01) -> Tensor:
    """R1 without a second derivative: `½·E(D(x) − D(x + σ·ε))²/σ²` (APT, arXiv 2501.08316, equation 2, divided by 2σ²).

    Over ε it expects what `gradient_penalty` gives, up to terms of σ², so that both take the same weight.
    """
    inputs = inputs.detach()
    return ((head(inputs) - head(inputs + sigma * noise)) / sigma).square().mean() / 2


def mean(terms: Sequence[Tensor]) -> Tensor:
    """The mean of scalar losses."""
    return torch.stack(list(terms)).mean()
