"""Kinds of caption, each a token of the context that is written from; it knows no flow, and nothing about training.

Shapes: `N` batch, `T` tokens of a picture, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from base.config import nearest
from base.errors import BadInput


class Columns(ModelMixin, ConfigMixin):
    """A token for each kind of caption, and one for any."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, columns: Sequence[str], width: int = 128) -> None:
        super().__init__()
        self.names = tuple(columns)
        self.embedding = nn.Embedding(len(self.names) + 1, width)

    def number(self, name: str) -> int:
        """The row of a kind of caption; empty: any. BadInput: no such kind."""
        if name and name not in self.names:
            raise BadInput(f"column '{name}' is unknown{nearest(name, self.names)}")
        return self.names.index(name) if name else len(self.names)

    def forward(self, image_embeds: Tensor, column: Tensor) -> Tensor:
        """Tokens of pictures `(N, T, D)`, kinds of caption `(N,)` → the context `(N, T + 1, D)`."""
        kind = self.embedding(column)[:, None]
        return torch.cat([image_embeds.to(kind.dtype), kind], dim=1)
