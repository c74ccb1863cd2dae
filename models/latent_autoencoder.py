"""A VAE of diffusers as a pipeline's autoencoder; what differs between their classes is in a file for each.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels, `p` patch size.
"""

from __future__ import annotations

from abc import abstractmethod
from math import isqrt
from pathlib import Path
from typing import Any

import diffusers
from torch import Tensor, nn
from torch.nn import functional

from base.errors import BadInput
from models import component_configs, weight_files
from models.implementation import file_of
from models.parts import Autoencoder


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

    @property
    def patch_size(self) -> int:
        """p, the side of the blocks of pixels that its VAE takes as 3·p² channels each; 1: pixels as they are.

        Space to depth: nothing convolves at full resolution, where a stage costs as much as all those below it.
        """
        return isqrt(int(self.vae.config["in_channels"]) // 3)

    def to_latents(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → latents as they are `(N, C, h, w)`, without a random draw."""
        patch = self.patch_size
        return self.encode_patches(images if patch == 1 else functional.pixel_unshuffle(images, patch))

    def from_latents(self, latents: Tensor) -> Tensor:
        """Latents as they are `(N, C, h, w)` → images `(N, 3, H, W)`."""
        patches: Tensor = self.vae.decode(latents).sample
        return patches if self.patch_size == 1 else functional.pixel_shuffle(patches, self.patch_size)

    @abstractmethod
    def encode_patches(self, patches: Tensor) -> Tensor:
        """What the VAE takes `(N, 3·p², H/p, W/p)` → latents as they are `(N, C, h, w)`, without a random draw."""

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
    kind = getattr(diffusers, str(component_configs.config(folder.parent, folder.name).get("_class_name")), None)
    if kind is None:
        raise BadInput(f"{folder} holds no autoencoder: its config.json names no class of diffusers")
    weight_files.check(folder, kind)
    return latent_autoencoder(kind.from_pretrained(folder))
