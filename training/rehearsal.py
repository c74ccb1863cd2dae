"""A training step on networks without numbers, whose memory and arithmetic are counted; it knows no losses.

Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from models.conditioning import Conditioning
from models.parts import predict


@dataclass(frozen=True)
class Rehearsal:
    """A student's generator step, as its terms see it."""

    teacher: nn.Module
    student: nn.Module
    sample: Tensor  # (N, C, h, w)
    conditioning: Conditioning

    @cached_property
    def fake(self) -> Tensor:
        """The student's output `(N, C, h, w)`, computed once for all terms that look at it."""
        return self.student_pass()

    def student_pass(self) -> Tensor:
        """The student's output `(N, C, h, w)` in a pass of its own."""
        return denoiser_pass(self.student, self.sample, self.conditioning).float()

    @torch.no_grad()
    def guided_pass(self) -> Tensor:
        """The guided teacher's two outputs `(2·N, C, h, w)`."""
        both = self.conditioning.map(lambda array: torch.cat([array, array]))
        return denoiser_pass(self.teacher, torch.cat([self.sample, self.sample]), both)


def denoiser_pass(denoiser: nn.Module, sample: Tensor, conditioning: Conditioning) -> Tensor:
    """What a denoiser gives for samples `(N, C, h, w)` at timestep 0: the same shape."""
    return predict(denoiser, sample, torch.zeros(len(sample), dtype=torch.long), conditioning)
