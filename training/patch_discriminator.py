"""A discriminator of small patches of pixels (PatchGAN, arXiv 1611.07004, section 3.2.2); it knows nothing about decoders.

Shapes: `N` batch, `H W` pixels.
"""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Images `(N, 3, H, W)` → one logit a patch of about 22 pixels, averaged: `(N,)`."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → the mean logit of all patches `(N,)`."""
        logits: Tensor = self.layers(images).mean(dim=(1, 2, 3))
        return logits
