"""Which samples each step takes: all mixed, or of one group a step where samples of several groups cannot share a batch.

It knows nothing about what sets groups apart. Everything derives from (seed, step), so that a run that goes on takes what it
would have taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.run.draws import Indices, Shares, batch_indices

_MASK = 2**64 - 1

Groups = Sequence[int] | None
"""The number of each sample's group, from 0 on, `(N,)`; None: all are of one."""


class Batches:
    """The batches of a run. Over many steps each sample is taken as often as without groups, to the batch's own size.

    Each group gets as many steps as it has of all samples' shares, evenly spread; inside of it epochs follow each other.
    """

    def __init__(self, seed: int, batch: int, size: int, shares: Shares = None, groups: Groups = None) -> None:
        """`size` samples, `batch` a step."""
        self.seed, self.batch, self.size, self.shares = seed, batch, size, shares
        numbers = np.asarray(groups if groups is not None else [0] * size)
        self.members = [np.flatnonzero(numbers == group) for group in range(int(numbers.max(initial=0)) + 1)]
        self.weights: NDArray[np.float64] | NDArray[np.int64] = np.array(
            [len(rows) if shares is None else shares[rows].sum() for rows in self.members]
        )
        self._round = lru_cache(maxsize=4)(self._ordered)
        self._before = [np.zeros(len(self.members), np.int64)]

    def at(self, step: int) -> list[int]:
        """The samples `(B,)` of global batch `step`, all of one group."""
        if len(self.members) == 1:
            return batch_indices(self.seed, step, self.batch, self.size, self.shares)
        number, position = divmod(step, self.size)
        order = self._round(number)
        group = int(order[position])
        earlier = int(self._until(number)[group] + (order[:position] == group).sum())
        rows = self.members[group]
        shares = None if self.shares is None else self.shares[rows] / self.shares[rows].sum()
        own = self.seed + (group + 1) * 0x9E3779B97F4A7C15  # other orders in every group
        return [int(rows[index]) for index in batch_indices(own, earlier, self.batch, len(rows), shares)]

    def _ordered(self, number: int) -> Indices:
        """The group of each of as many steps as there are samples: each as often as its weight says, evenly spread."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed & _MASK, number], counter=[0, 0, 0, 1]))
        ends = np.cumsum(self.weights) / self.weights.sum() * self.size
        drawn = np.searchsorted(ends, np.arange(self.size) + rng.random(), side="right").clip(max=len(ends) - 1)
        counts = np.bincount(drawn, minlength=len(ends))
        places = np.concatenate([(np.arange(count) + rng.random()) / max(1, count) for count in counts])
        return np.repeat(np.arange(len(ends)), counts)[np.argsort(places, kind="stable")]

    def _until(self, number: int) -> NDArray[np.int64]:
        """How many steps each group had in the rounds before `number`."""
        while len(self._before) <= number:
            last = self._ordered(len(self._before) - 1)
            self._before.append(self._before[-1] + np.bincount(last, minlength=len(self.members)))
        return self._before[number]
