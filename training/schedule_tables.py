"""A schedule as tensors, gathered at timesteps; it knows no network.

Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.per_sample import per_sample
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
        alpha, sigma = self.alpha[index], self.sigma[index]
        return per_sample(alpha.to(timesteps.device)), per_sample(sigma.to(timesteps.device))


class Angles:
    """The angle φ = atan2(σ, α) of every timestep, and timesteps between them: in a line from one to the next."""

    def __init__(self, schedule: Schedule) -> None:
        tables = Tables(schedule)
        self.table = torch.atan2(tables.sigma, tables.alpha)

    def within(self, angles: Tensor) -> Tensor:
        """Angles `(N,)` moved to where the schedule is, from its first timestep to its last."""
        return angles.clamp(float(self.table[0]), float(self.table[-1]))

    def timesteps(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Angles `(N,)` within the schedule → their timesteps, in float32, and dt/dφ there, both `(N,)`."""
        table = self.table.to(angles.device)
        below = (torch.searchsorted(table, angles.contiguous(), right=True) - 1).clamp(0, len(table) - 2)
        rate = 1 / (table[below + 1] - table[below])
        return below + (angles - table[below]) * rate, rate
