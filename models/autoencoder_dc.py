"""diffusers' `AutoencoderDC` (DC-AE, arXiv 2410.10733) as an autoencoder: 32 times smaller sides, no distribution over latents.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels, `p` patch size.
"""

from __future__ import annotations

from torch import Tensor

from models.latent_autoencoder import LatentAutoencoder


class DCAutoencoder(LatentAutoencoder):
    """An `AutoencoderDC`."""

    def encode_patches(self, patches: Tensor) -> Tensor:
        """Patches `(N, 3·p², H/p, W/p)` in [−1, 1] → latents as they are `(N, C, h, w)`."""
        latents: Tensor = self.vae.encode(patches).latent
        return latents


Wrapped = DCAutoencoder
