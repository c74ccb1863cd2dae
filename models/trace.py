"""A pipeline that keeps what each of its steps saw and expected; it draws exactly what the one it is made of draws."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import sampling
from models.conditioning import Conditioning
from models.pipeline import Pipeline, to_uint8


@dataclass
class Traced(Pipeline):
    """The same networks; `generate` fills the two lists, one entry a step, images `(N, H, W, 3)` uint8."""

    seen: list[NDArray[np.uint8]] = field(default_factory=list)
    """The noisy samples that the denoiser was given."""
    expected: list[NDArray[np.uint8]] = field(default_factory=list)
    """The clean samples that its outputs stand for; the last is what was drawn."""

    def denoise(self, conditioning: Conditioning, guidance: float | None = None) -> sampling.Denoise:
        """As `Pipeline.denoise`, and each call is kept."""
        bound = super().denoise(conditioning, guidance)

        def kept(sample: Any, timestep: int) -> Any:
            output = bound(sample, timestep)
            alpha, sigma = self.schedule.alpha[timestep], self.schedule.sigma[timestep]
            x0 = sampling.to_x0(sample, output, alpha, sigma, self.schedule.prediction_type)
            self.seen.append(to_uint8(self.autoencoder.decode(sample)))  # type: ignore[operator]
            self.expected.append(to_uint8(self.autoencoder.decode(x0)))  # type: ignore[operator]
            return output

        return kept


def traced(pipeline: Pipeline) -> Traced:
    """A traced pipeline of the same parts."""
    return Traced(**{part.name: getattr(pipeline, part.name) for part in fields(Pipeline)})
