"""Captions of a data set as token ids, one language drawn at random for each sample; it knows nothing about networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.data.folder import ImageFolder
from training.draws import Draws


class Captions:
    """Token ids of every caption column of one split, kept in memory: `(N, columns, S)`."""

    def __init__(
        self, images: ImageFolder, columns: Sequence[str], tokenize: Callable[[Sequence[str]], Tensor]
    ) -> None:
        self.texts = [images.captions(column) for column in columns]
        self.ids = torch.stack([tokenize(texts) for texts in self.texts], dim=1)

    def draw(self, indices: Sequence[int], draws: Draws) -> Tensor:
        """Ids `(N, S)` of the samples, the column drawn."""
        columns = draws.integers(self.ids.shape[1]).cpu()
        return self.ids[torch.as_tensor(indices), columns].to(draws.device)
