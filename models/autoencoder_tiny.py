"""diffusers' `AutoencoderTiny` (TAESD) as an autoencoder: small, without a distribution over latents.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels, `p` patch size.
"""

from __future__ import annotations

from torch import Tensor

from models.latent_autoencoder import LatentAutoencoder


class TinyAutoencoder(LatentAutoencoder):
    """An `AutoencoderTiny`."""

    def encode_patches(self, patches: Tensor) -> Tensor:
        """Patches `(N, 3·p², H/p, W/p)` in [−1, 1] → latents as they are `(N, C, h, w)`."""
        latents: Tensor = self.vae.encode(patches).latents
        return latents


Wrapped = TinyAutoencoder
