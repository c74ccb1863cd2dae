"""diffusers' `AutoencoderTiny` (TAESD) as an autoencoder: small, without a distribution over latents.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels, `p` patch size.
"""

from __future__ import annotations

from torch import Tensor, nn

from base.errors import BadInput
from models.latent_autoencoder import LatentAutoencoder


class TinyAutoencoder(LatentAutoencoder):
    """An `AutoencoderTiny`."""

    def __init__(self, vae: nn.Module) -> None:
        """BadInput: its configuration shifts latents."""
        super().__init__(vae)
        if shift := self.vae.config.get("shift_factor"):
            raise BadInput(f"an AutoencoderTiny with shift_factor {shift} is not read")

    def encode_patches(self, patches: Tensor) -> Tensor:
        """Patches `(N, 3·p², H/p, W/p)` in [−1, 1] → latents as they are `(N, C, h, w)`."""
        latents: Tensor = self.vae.encode(patches).latents
        return latents


Wrapped = TinyAutoencoder
