"""What a denoiser learns at which timesteps, and how much each counts; it knows no network and no data.

Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.sampling import to_velocity
from models.schedule import Prediction
from training.schedule_tables import Tables


def target(prediction: Prediction, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """What the model output `(N, C, h, w)` of such a prediction should be, α and σ `(N, 1, 1, 1)`."""
    match prediction:
        case "v_prediction":
            return to_velocity(x0, noise, alpha, sigma)
        case "epsilon":
            return noise
        case "sample":
            return x0


def shifted_timesteps(uniform: Tensor, shift: float, length: int) -> Tensor:
    """Uniform numbers `(N,)` → timesteps below `length`, moved by `s·u / (1 + (s − 1)·u)` (arXiv 2403.03206, equation 23)."""
    moved = shift * uniform / (1 + (shift - 1) * uniform)
    return (moved * length).long().clamp(max=length - 1)


def min_snr(tables: Tables, timesteps: Tensor, gamma: float | None, prediction: Prediction) -> Tensor:
    """Min-SNR weights of timesteps `(N,)` (arXiv 2303.09556); all 1 without a gamma.

    With v and x0, SNR + 1 stands for SNR, so that pure noise keeps weight 1.
    """
    if gamma is None:
        return torch.ones(len(timesteps), device=timesteps.device)
    alpha, sigma = (table.flatten() for table in tables.at(timesteps))
    ratio = (alpha / sigma.clamp(min=1e-6)).square()
    match prediction:
        case "v_prediction":
            return (ratio + 1).clamp(max=gamma) / (ratio + 1)
        case "epsilon":
            return ratio.clamp(max=gamma) / ratio.clamp(min=1e-6)
        case "sample":
            return (ratio + 1).clamp(max=gamma)
