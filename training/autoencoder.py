"""Train a latent autoencoder from scratch on the user's images; it knows nothing about denoisers.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from base.config import Config
from base.errors import BadInput
from base.files import atomic_folder
from base.runs import data_folder, trained
from data.imagefolder import ImageFolder
from models import from_config, weight_files
from models.autoencoder_kl import KLAutoencoder, normalise
from models.pixel_tensors import from_uint8
from training.augment import mirror, shift
from training.perceptual import Perceptual, PerceptualConfig
from training.reconstructions import Codec, reconstruction_figures, reconstruction_grid
from training.run.device import device
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig


class AutoencoderConfig(Config):
    """`ippo train autoencoder`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    vae: dict[str, Any]
    """Keyword arguments of diffusers' `AutoencoderKL`."""
    start: str | None = None
    """Run or folder of an autoencoder of this shape to go on from; none: from random weights."""
    loop: LoopConfig
    optimizer: OptimizerConfig
    latent_noise: float = 0.1
    """Noise on the latents, in units of their spread: the decoder must forgive a student's small errors."""
    shift: int = 4
    """Largest shift in pixels of the training images."""
    perceptual: PerceptualConfig | None = None
    """A term on the features of a pretrained network; none: squared error alone."""


class AutoencoderMethod(Method):
    """Reconstruct images through a narrow latent space, then normalise the latents."""

    averaged: Sequence[str] = ("vae",)

    def __init__(self, config: AutoencoderConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        vae = _start(config).to(memory_format=torch.channels_last)  # a sixth off a step on a CPU
        self.autoencoder = KLAutoencoder(vae)
        self.modules: Mapping[str, nn.Module] = {"vae": vae}
        self.perceptual = Perceptual(config.perceptual).to(device()) if config.perceptual else None
        self.train_images = ImageFolder(data_folder(config.data), "train").of_one_size()
        self.held_out = ImageFolder(data_folder(config.data), "validation").of_one_size()
        self.size = len(self.train_images)

    def phases(self, steps: int) -> Sequence[Phase]:
        """One phase: reconstruction."""
        return [Phase("autoencoder", list(self.autoencoder.parameters()), self.config.optimizer, self.reconstruct)]

    def reconstruct(self, indices: list[int], draws: Draws) -> Losses:
        """Squared error through noisy latents, and the perceptual term.

        (L1 and edges learn four times slower: both are content with grey.)
        """
        images = from_uint8(self.train_images.images(indices)).to(draws.device)
        images = mirror(shift(images, draws, self.config.shift), draws)  # (N, 3, H, W)
        latents = self.autoencoder.to_latents(images)  # (N, C, h, w)
        spread = latents.detach().std(dim=(0, 2, 3), keepdim=True)
        noise = draws.normal(*latents.shape[1:]) * spread * self.config.latent_noise
        decoded = self.autoencoder.from_latents(latents + noise).float()
        pixels = functional.mse_loss(decoded, images)
        if self.perceptual is None:
            return {"total": pixels}
        features = self.perceptual(decoded, images)
        return {"total": pixels + features, "pixels": pixels, "perceptual": features}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """PSNR (dB) and sharpness of reconstructions of held-out images; the score is −PSNR."""
        return reconstruction_figures(*_codec(averages["vae"]), self.held_out)

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Held-out images above their reconstructions: `(2·H, 16·W, 3)` uint8."""
        return reconstruction_grid(*_codec(averages["vae"]), self.held_out)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """A diffusers VAE folder whose latents have mean 0 and spread 1 in every channel, fit for fp16."""
        vae = copy.deepcopy(averages["vae"])
        sample = from_uint8(self.train_images.images(list(range(0, self.size, max(1, self.size // 1000)))))
        autoencoder = KLAutoencoder(vae.cpu().eval())
        normalise(autoencoder, sample)
        autoencoder.fit_for_half(sample[:: max(1, len(sample) // 64)])
        save_network(vae, folder)


def _start(config: AutoencoderConfig) -> AutoencoderKL:
    """The network to train. BadInput: the one to go on from has another shape."""
    vae = from_config.fresh(AutoencoderKL, "vae", config.vae)
    if config.start is None:
        return vae
    weight_files.check(trained(config.start), AutoencoderKL)
    start = AutoencoderKL.from_pretrained(trained(config.start))
    shapes, given = ({name: weight.shape for name, weight in net.state_dict().items()} for net in (vae, start))
    different = [name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name)]
    if different:
        raise BadInput(
            f"start: {config.start} has another shape than vae, in {len(different)} weights: {min(different)}, …"
        )
    return start.float()


def _codec(vae: nn.Module) -> tuple[Codec, Codec]:
    autoencoder, device = KLAutoencoder(vae), next(vae.parameters()).device
    return (
        lambda images: autoencoder.to_latents(images.to(device)),
        lambda latents: autoencoder.from_latents(latents).float().cpu(),
    )


def save_network(network: Any, folder: Path) -> None:
    """`save_pretrained` into `folder`, atomically."""
    with atomic_folder(folder) as hidden:
        network.save_pretrained(os.fspath(hidden), safe_serialization=True)


CONFIG, METHOD = AutoencoderConfig, AutoencoderMethod
