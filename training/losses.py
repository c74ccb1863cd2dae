"""Losses of adversarial distillation, each with its source; they know tensors only.

Logits are one number a sample, `(N,)`; relativistic losses compare the logits of a real and a fake that share a caption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing loss of the discriminator (RpGAN, arXiv 1807.00734; R3GAN, arXiv 2501.05441, equation 2)."""
    return functional.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's side of the same game."""
    return functional.softplus(real - fake).mean()


def gradient_penalty(head: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Zero-centred penalty ½·E‖∇D‖² on the *input of a head*: R1 on reals, R2 on fakes (arXiv 1801.04406, equation 9).

    ADD takes it there and not on pixels (arXiv 2311.17042, section 3.2): no second backward through the feature network.
    """
    leaves = inputs.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(head(leaves).sum(), leaves, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


def mean(terms: Sequence[Tensor]) -> Tensor:
    """The mean of scalar losses."""
    return torch.stack(list(terms)).mean()
