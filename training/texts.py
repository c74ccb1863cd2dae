"""What a frozen conditioner makes of a data set's captions, computed once for all runs; it knows nothing about training.

Shapes: `N` batch, `M` captions, `S` tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.conditioning import Conditioning
from models.pipeline import Pipeline
from training.run import tensor_cache

_PART = 64
"""Captions at once."""


class Texts:
    """Ids `(N, S)` → conditioning: looked up where the ids are known, computed where they are not."""

    def __init__(self, pipeline: Pipeline, ids: Tensor) -> None:
        """`ids` `(M, S)`: of every caption, the null one included; what they give is kept in memory, in float32."""
        self.pipeline = pipeline
        known = ids.unique(dim=0)
        name = tensor_cache.digest([pipeline.conditioner], known)
        self.arrays = tensor_cache.cached_tensors(f"texts-{name}", lambda: self._encode(known))
        self.places = {row.numpy().tobytes(): place for place, row in enumerate(known)}

    def __call__(self, ids: Tensor) -> Conditioning:
        """The conditioning, on the ids' device; no gradient reaches the conditioner."""
        found = [self.places.get(row.numpy().tobytes()) for row in ids.cpu()]
        if None in found:
            with torch.no_grad():
                return self.pipeline.conditioner(ids)
        rows = torch.tensor(found)
        return Conditioning(**{name: array[rows].to(ids.device) for name, array in self.arrays.items()})

    @torch.no_grad()
    def _encode(self, ids: Tensor) -> dict[str, Tensor]:
        parts = [self.pipeline.conditioner(part.to(self.pipeline.device)).arrays() for part in ids.split(_PART)]
        return {name: torch.cat([part[name].float().cpu() for part in parts]) for name in parts[0]}
