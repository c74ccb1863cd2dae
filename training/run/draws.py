"""Random numbers of a training step, derived from (run seed, step, sample); it knows nothing about what they are for.

Resuming is exact, and one process or eight draw the same: no generator has a state that must be saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MASK = 2**64 - 1


Indices = np.ndarray[tuple[int], np.dtype[np.int64]]
Shares = NDArray[np.float64] | None
"""How often each sample is drawn, `(N,)`, in all 1; None: all alike, each once an epoch."""


def permutation(seed: int, epoch: int, size: int, shares: Shares = None) -> Indices:
    """The order `(size,)` of the samples in one epoch, each as often as its share says, to the whole number above or below."""
    rng = np.random.Generator(np.random.Philox(key=[seed & _MASK, epoch]))
    return rng.permutation(size) if shares is None else spread(shares, size, rng)


def spread(shares: NDArray[np.float64], count: int, rng: np.random.Generator) -> Indices:
    """`count` indices in a random order, each as often as its share `(N,)` of them, to the whole number above or below."""
    ends = np.cumsum(shares) / np.sum(shares) * count
    rows = np.searchsorted(ends, np.arange(count) + rng.random(), side="right")
    return rng.permutation(rows.clip(max=len(shares) - 1))


def batch_indices(seed: int, step: int, batch: int, size: int, shares: Shares = None) -> list[int]:
    """Data indices of global batch `step`: epochs of `size` follow each other without a gap."""
    positions = range(step * batch, (step + 1) * batch)
    orders = {epoch: permutation(seed, epoch, size, shares) for epoch in {position // size for position in positions}}
    return [int(orders[position // size][position % size]) for position in positions]


@dataclass(frozen=True)
class Draws:
    """One step's random numbers: one stream for each global sample position, the n-th call gives the n-th numbers."""

    streams: tuple[np.random.Generator, ...]
    device: torch.device
    positions: tuple[int, ...]
    """Of the samples in the global batch."""

    @classmethod
    def at(cls, seed: int, step: int, positions: Sequence[int], device: torch.device, phase: int = 0) -> Draws:
        """Streams for the samples at `positions` of global batch `step`; each phase has its own."""
        key = [seed & _MASK, (step << 4 | phase) & _MASK]
        return cls(
            tuple(
                np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, position])) for position in positions
            ),
            device,
            tuple(positions),
        )

    def __len__(self) -> int:
        return len(self.streams)

    def only(self, positions: Sequence[int]) -> Draws:
        """The streams of the samples at `positions` alone, which go on where they are."""
        rows = [(self.streams[row], self.positions[row]) for row in positions]
        return Draws(tuple(stream for stream, _ in rows), self.device, tuple(position for _, position in rows))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal `(N, *shape)` float32."""
        return self._stack([stream.standard_normal(shape, dtype=np.float32) for stream in self.streams])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), `(N, *shape)` float32."""
        return self._stack([stream.random(shape, dtype=np.float32) for stream in self.streams])

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high), `(N, *shape)` int64."""
        return self._stack([stream.integers(high, size=shape) for stream in self.streams])

    def _stack(self, arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack([np.asarray(array) for array in arrays])).to(self.device)
