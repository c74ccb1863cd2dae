"""A perceptual term: pictures compared by the inner maps of a pretrained network; it knows nothing about what drew them.

Shapes: `N` batch, `C` channels, `H W` pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from base.config import Config
from base.errors import BadInput
from base.runs import run_folder
from metrics import efficientnet_lite


class PerceptualConfig(Config):
    """The optional term of autoencoders and decoders. It may never judge what it trained."""

    network: str
    """Folder, or name under the runs, that `ippo convert efficientnet-lite` wrote."""
    blocks: tuple[int, ...] = (1, 3, 5, 11)
    """Whose maps are compared."""
    weight: float = 0.1
    """Beside the squared error of the pixels."""


class Perceptual(nn.Module):
    """The mean relative squared error of the network's maps (as in arXiv 1603.08155, on EfficientNet-Lite)."""

    def __init__(self, config: PerceptualConfig) -> None:
        """BadInput: no such network there."""
        super().__init__()
        self.weight, self.blocks = config.weight, config.blocks
        try:
            self.network = efficientnet_lite.load(run_folder(config.network))
        except BadInput as error:  # the folder's; told with the key of the configuration that names it
            raise BadInput(f"perceptual: {error}") from error
        if not config.blocks or max(config.blocks) >= len(self.network.blocks) or min(config.blocks) < 0:
            raise BadInput(f"perceptual.blocks: accepted are numbers from 0 to {len(self.network.blocks) - 1}")

    def forward(self, images: Tensor, originals: Tensor) -> Tensor:
        """Images and originals `(N, 3, H, W)` in [−1, 1] → the weighted term, a scalar; no gradient reaches the originals.

        Relative: every map's squared error over its mean square, so that no block outweighs the others.
        """
        ours = self.network.maps(images, self.blocks)
        with torch.no_grad():
            theirs = self.network.maps(originals, self.blocks)
        errors = [
            (a - b).square().mean() / b.square().mean().clamp(min=1e-6) for a, b in zip(ours, theirs, strict=True)
        ]
        return self.weight * torch.stack(errors).mean()
