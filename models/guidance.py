"""Which passes classifier-free guidance adds up for a batch of samples, and with which weights; it knows no denoiser.

Shapes: `N` samples, `M` single conditions of them all, `A` attributes, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.conditioning import Conditioning
from models.per_sample import per_sample


@dataclass(frozen=True)
class GuidanceTerms:
    """What runs after the N null passes in one batch, and how `sampling.guide` sums it."""

    conditions: Conditioning
    """M rows, each a condition alone."""
    samples: Tensor
    """`(M,)`: the sample that each belongs to."""
    indices: Sequence[Tensor]
    """For each term of the sum `(N,)`: the rows of the whole batch; a sample of fewer conditions has its null pass there."""
    weights: Sequence[Any]
    """For each term of the sum a weight, or one a sample `(N, 1, 1, 1)`."""


def guidance_terms(
    conditioning: Conditioning, guidance: float, conditioner: Callable[[Tensor], Conditioning]
) -> GuidanceTerms:
    """The terms of `null + g·(cond − null)`, or of `null + Σ g·wᵢ·(condᵢ − null)` where conditions have weights of their own
    (composed guidance: arXiv 2206.01714, equation 11).

    `conditioning`: `(N, …)` arrays, with weights `(N, A)` in the second case, where `conditioner` gives the hidden states of
    single attributes, weights `(M, A)` → `(M, S, D)`.
    """
    weights = conditioning.weights
    if weights is None:
        count = next(iter(conditioning.arrays().values())).shape[0]
        everyone = torch.arange(count, device=next(iter(conditioning.arrays().values())).device)
        return GuidanceTerms(conditioning, everyone, [everyone + count], [guidance])
    count = len(weights)
    samples, attributes = weights.nonzero(as_tuple=True)  # in the order of the samples
    alone = conditioner(functional.one_hot(attributes, weights.shape[1]).to(weights.dtype))
    each = torch.bincount(samples, minlength=count)
    turns = torch.arange(len(samples), device=weights.device) - (each.cumsum(0) - each)[samples]
    most = int(each.max())
    indices = torch.arange(count, device=weights.device).repeat(most, 1)
    indices[turns, samples] = count + torch.arange(len(samples), device=weights.device)
    heavy = weights.new_zeros(most, count)
    heavy[turns, samples] = guidance * weights[samples, attributes]
    return GuidanceTerms(alone, samples, list(indices), [per_sample(row) for row in heavy])
