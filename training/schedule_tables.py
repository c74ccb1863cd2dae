"""A schedule as tensors, gathered at timesteps; it knows no network.

Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.schedule import Schedule


class Tables:
    """α and σ of every timestep, shaped to broadcast over `(N, C, h, w)`."""

    def __init__(self, schedule: Schedule) -> None:
        self.alpha = torch.tensor(schedule.alpha, dtype=torch.float32)
        self.sigma = torch.tensor(schedule.sigma, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.alpha)

    def at(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Timesteps `(N,)` → alpha and sigma `(N, 1, 1, 1)`."""
        index = timesteps.cpu()
        alpha, sigma = (table[index].to(timesteps.device)[:, None, None, None] for table in (self.alpha, self.sigma))
        return alpha, sigma
