"""DINO and DINOv2 as feature networks (arXiv 2104.14294, 2304.07193); it knows no generator.

Any vision transformer that transformers' `AutoModel` opens. Shapes: `N` batch, `H W` pixels, `D` width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from base.errors import BadInput
from base.safetensors_head import check_folder
from metrics import preprocess
from metrics.preprocess import Preprocess
from models.folder import on_hub


class Dino(nn.Module):
    """The class token after the last norm, as FD-DINOv2 takes it (arXiv 2306.04675)."""

    def __init__(self, model: Any, prepare: Preprocess) -> None:
        super().__init__()
        self.model, self.prepare = model.eval(), prepare

    def features(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → `(N, D)`."""
        tokens: Tensor = self.model(pixel_values=self.prepare(images)).last_hidden_state  # (N, S, D)
        return tokens[:, 0]

    def embed(self, images: Tensor) -> Tensor:
        """`features` scaled to length 1: `(N, 3, H, W)` in [−1, 1] → `(N, D)`."""
        return functional.normalize(self.features(images), dim=1)


def load(name: str | Path) -> Dino:
    """Open a folder or a Hub name, in float32. BadInput: no vision transformer there."""
    try:
        check_folder(Path(name))
        here_alone = not Path(name).exists() and not on_hub(str(name))
        model = AutoModel.from_pretrained(str(name), dtype=torch.float32, local_files_only=here_alone)
        side = model.config.image_size
        return Dino(model, preprocess.read(name, side))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"{name} holds no DINO: {str(error).strip().splitlines()[0]}") from error
