"""A VAE of diffusers as a pipeline's autoencoder; what differs between their classes is in a file for each.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any

import diffusers
from torch import Tensor, nn

from models.implementation import file_of
from models.pipeline import Autoencoder


class LatentAutoencoder(Autoencoder):
    """A VAE behind `encode` and `decode`. A subclass is `Wrapped` in the file that its VAE's class is called by."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae: Any = vae

    @property
    def scaling_factor(self) -> float:
        """What brings latents as they are to unit variance."""
        return float(self.vae.config["scaling_factor"])

    @property
    def latent_channels(self) -> int:
        """C, the channels of its latents `(N, C, h, w)`."""
        return int(self.vae.config["latent_channels"])

    @abstractmethod
    def to_latents(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → latents as they are `(N, C, h, w)`, without a random draw."""

    def to_images(self, latents: Tensor) -> Tensor:
        """Latents as they are `(N, C, h, w)` → images `(N, 3, H, W)`."""
        images: Tensor = self.vae.decode(latents).sample
        return images

    def decoder_weights(self) -> list[nn.Parameter]:
        """The weights of everything behind the latents."""
        return list(self.vae.decoder.parameters())

    def fit_for_half(self, images: Tensor) -> None:
        """Change weights in place, and nothing that they compute, so that activations on `images` are in fp16's range.

        `images (N, 3, H, W)` in [−1, 1]. By default nothing is changed.
        """


def latent_autoencoder(vae: nn.Module) -> LatentAutoencoder:
    """A VAE of diffusers as an autoencoder. BadInput: no file of `models/` knows its class."""
    wrapped: LatentAutoencoder = file_of(vae).Wrapped(vae)
    return wrapped


def load(folder: Path) -> LatentAutoencoder:
    """The autoencoder of a VAE's folder, of whatever class its `config.json` names, in the precision of its weights."""
    kind = json.loads((folder / "config.json").read_text())["_class_name"]
    return latent_autoencoder(getattr(diffusers, kind).from_pretrained(folder))
