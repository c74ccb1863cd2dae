"""diffusers' `AutoencoderTiny` (TAESD) as an autoencoder: small, without a distribution over latents.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

from torch import Tensor

from models.latent_autoencoder import LatentAutoencoder


class TinyAutoencoder(LatentAutoencoder):
    """An `AutoencoderTiny`."""

    def to_latents(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → latents as they are `(N, C, h, w)`."""
        latents: Tensor = self.vae.encode(images).latents
        return latents


Wrapped = TinyAutoencoder
