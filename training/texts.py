"""What a frozen conditioner makes of a data set's captions, computed once for all runs; it knows nothing about training.

Shapes: `N` batch, `M` captions, `S` tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.conditioning import Conditioning
from models.pipeline import Pipeline
from training.run import tensor_cache
from training.run.memory import set_aside

_BATCH = 64
"""Captions at once."""


class Texts:
    """Ids `(N, S)` → conditioning: looked up where the ids are known, computed where they are not."""

    def __init__(self, pipeline: Pipeline, ids: Tensor) -> None:
        """`ids` `(M, S)`: of every caption, the null one included; what they give is held in memory, in float32.

        The conditioner rests until it is asked again.
        """
        self.pipeline = pipeline
        known = ids.unique(dim=0)
        name = tensor_cache.digest([pipeline.conditioner], known)
        self.arrays = tensor_cache.cached_tensors(f"texts-{name}", lambda: self._encode(known))
        self.indices = {row.numpy().tobytes(): index for index, row in enumerate(known)}
        self.rest()

    def __call__(self, ids: Tensor) -> Conditioning:
        """The conditioning of ids `(N, S)`, on their device; no gradient reaches the conditioner."""
        rows = [self.indices.get(row.numpy().tobytes()) for row in ids.cpu()]
        if None in rows:
            with torch.no_grad():
                return self.pipeline.conditioner(ids)
        indices = torch.tensor(rows)  # (N,)
        return Conditioning(**{name: array[indices].to(ids.device) for name, array in self.arrays.items()})

    def rest(self) -> None:
        """The conditioner's weights leave memory, where they are mapped from their file."""
        set_aside(self.pipeline.conditioner)

    @torch.no_grad()
    def _encode(self, ids: Tensor) -> dict[str, Tensor]:
        batches = [self.pipeline.conditioner(batch.to(self.pipeline.device)).arrays() for batch in ids.split(_BATCH)]
        return {name: torch.cat([arrays[name].float().cpu() for arrays in batches]) for name in batches[0]}
