"""Train a decoder alone on a frozen encoder's latents, sharpened by a patch discriminator; it trains no denoiser.

`kind: kl` goes on with the autoencoder's own decoder. `kind: tiny` trains an `AutoencoderTiny` in its place, and its
encoder with it, which learns to give the same latents. With a `student` the patches of its images must pass for real ones
too: a student's latents are softer than encoded ones, and a decoder that saw only the latter shows it.
Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from base.config import Config
from base.errors import BadInput
from base.runs import data_folder, trained
from data.imagefolder import ImageFolder
from models import weight_files
from models.from_config import fresh
from models.latent_autoencoder import latent_autoencoder
from models.pixel_tensors import from_uint8
from training.augment import mirror, shift
from training.autoencoder import save_network
from training.patch_discriminator import PatchDiscriminator
from training.perceptual import Perceptual, PerceptualConfig
from training.reconstructions import Codec, edge_distance, reconstruction_figures, reconstruction_grid
from training.run.device import device
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig
from training.student import losses
from training.student_samples import StudentSamples, layout


class DecoderConfig(Config):
    """`ippo train decoder`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    vae: str
    """Run or folder of the `AutoencoderKL` whose latents are decoded."""
    kind: Literal["kl", "tiny"] = "kl"
    """Which decoder is trained."""
    tiny: dict[str, Any] = {}
    """Keyword arguments of diffusers' `AutoencoderTiny`, for `kind: tiny`."""
    start: str | None = None
    """Run or folder of a decoder of this kind to go on from; none: the autoencoder's own, or a new tiny one."""
    student: str | None = None
    """Run, folder or Hub name of a student for whose images the decoder is made; none: for encoded images alone."""
    student_images: int = Field(default=4096, ge=1)
    """Images that the student draws in one step, over the captions in turn."""
    captions: list[str] = ["text"]
    """Caption columns of these images."""
    latent_noise: float = 0.1
    """Noise on the latents, in units of their spread."""
    gradient_weight: float = 0.5
    """Weight of the L1 distance between finite differences."""
    adversarial_weight: float = 0.02
    """Weight of the patch discriminator."""
    penalty: float = 1.0
    """Weight γ of R1 and R2, on the pixels of a quarter of the batch."""
    perceptual: PerceptualConfig | None = None
    """A term on the features of a pretrained network, from the warm-up on; none: left out."""
    warmup: int = 0
    """Steps of squared error before the discriminator joins."""
    warmup_optimizer: OptimizerConfig
    """For the warm-up, and for a tiny encoder all along."""
    optimizer: OptimizerConfig
    discriminator: OptimizerConfig
    loop: LoopConfig


class DecoderMethod(Method):
    """Squared error in the warm-up, then L1 on pixels and edges and a relativistic game over patches."""

    averaged: Sequence[str] = ("vae",)

    def __init__(self, config: DecoderConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        weight_files.check(trained(config.vae), AutoencoderKL)
        encoder = AutoencoderKL.from_pretrained(trained(config.vae)).requires_grad_(False).eval().to(device())
        self.encoder = latent_autoencoder(encoder)
        self.vae = _start(config, encoder).to(memory_format=torch.channels_last)
        self.trainable = latent_autoencoder(self.vae).decoder_weights()
        for weight in self.trainable:
            weight.requires_grad_(True)
        self.discriminator = PatchDiscriminator()
        self.modules: Mapping[str, nn.Module] = {"vae": self.vae, "discriminator": self.discriminator}
        self.train_images = ImageFolder(data_folder(config.data), "train").of_one_size()
        self.held_out = ImageFolder(data_folder(config.data), "validation").of_one_size()
        self.size = len(self.train_images)
        self.student_samples = self._student_samples(config.student) if config.student else None
        self.perceptual = Perceptual(config.perceptual).to(device()) if config.perceptual else None

    def phases(self, steps: int) -> Sequence[Phase]:
        """Warm-up up to `config.warmup`, the game from there on."""
        patches = list(self.discriminator.parameters())
        begin = self.config.warmup
        alone = [
            Phase("warmup", self.trainable, self.config.warmup_optimizer, self.warmup_step, stop=begin),
            Phase("discriminator", patches, self.config.discriminator, self.discriminator_step, start=begin),
            Phase("decoder", self.trainable, self.config.optimizer, self.decoder_step, start=begin),
        ]
        if self.config.kind == "kl":
            return alone
        return [
            *alone,
            Phase("encoder", list(self.vae.encoder.parameters()), self.config.warmup_optimizer, self.encoder_step),
        ]

    def warmup_step(self, indices: list[int], draws: Draws) -> Losses:
        """Squared error, where a decoder from scratch learns fastest, and blurred; with the perceptual term."""
        images = self._images(indices, draws)
        decoded = self._decode(images, draws)
        pixels = functional.mse_loss(decoded, images)
        features = self._features(decoded, images)
        return {"total": sum(features.values(), pixels), "pixels": pixels, **features}

    def encoder_step(self, indices: list[int], draws: Draws) -> Losses:
        """Squared error of the tiny encoder's latents."""
        images = self._images(indices, draws)
        return {
            "total": functional.mse_loss(latent_autoencoder(self.vae).encode(images).float(), self._latents(images))
        }

    def discriminator_step(self, indices: list[int], draws: Draws) -> Losses:
        """Tell originals from decoded latents, of the same images and of the student's."""
        images = self._images(indices, draws)
        with torch.no_grad():
            decoded = self._decode(images, draws)
            if self.student_samples is not None:
                decoded = torch.cat([decoded, _decode_with(self.vae)(self.student_samples.batch(draws)[0])])
        with torch.autocast(draws.device.type, enabled=False):
            real, fake = self._ranked(images, decoded)
            game = losses.discriminator("relativistic", real, fake)
            quarter = max(1, len(images) // 4)  # an unbiased estimate at a quarter of the cost
            penalty = losses.gradient_penalty(self.discriminator, images[:quarter])
            penalty = penalty + losses.gradient_penalty(
                self.discriminator, decoded[:: len(decoded) // quarter][:quarter]
            )
        accuracy = (real > fake).float().mean()
        return {"total": game + self.config.penalty * penalty, "game": game, "penalty": penalty, "accuracy": accuracy}

    def decoder_step(self, indices: list[int], draws: Draws) -> Losses:
        """L1 on pixels and edges, on the student's images on their layout, and the game."""
        images = self._images(indices, draws)
        decoded = self._decode(images, draws)
        pixels, edges = functional.l1_loss(decoded, images), edge_distance(decoded, images)
        features = self._features(decoded, images)
        figures = {"pixels": pixels, "edges": edges, **features}
        total = sum(features.values(), pixels + self.config.gradient_weight * edges)
        if self.student_samples is not None:
            latents, expected_layout = self.student_samples.batch(draws)
            samples = _decode_with(self.vae)(latents)
            figures["layout"] = functional.l1_loss(layout(samples), expected_layout)
            total, decoded = total + figures["layout"], torch.cat([decoded, samples])
        with torch.autocast(draws.device.type, enabled=False):
            game = losses.generator("relativistic", *self._ranked(images, decoded))
        return {"total": total + self.config.adversarial_weight * game, "adversarial": game, **figures}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """PSNR and sharpness on held-out images; the score weighs 0.1 of sharpness like 1 dB."""
        figures = reconstruction_figures(self._latents, _decode_with(averages["vae"]), self.held_out)
        return {**figures, "score": 10 * abs(1 - figures["laplacian"]) - figures["psnr"]}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Held-out images above their reconstructions: `(2·H, 16·W, 3)` uint8."""
        return reconstruction_grid(self._latents, _decode_with(averages["vae"]), self.held_out)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """A diffusers VAE folder, fit for fp16."""
        vae = copy.deepcopy(averages["vae"])
        images = self.held_out.images(list(range(min(len(self.held_out), 64))))
        latent_autoencoder(vae).fit_for_half(from_uint8(images))
        save_network(vae, folder)

    def _student_samples(self, student: str) -> StudentSamples:
        """An image for each of the captions in turn, mixed."""
        captions = [caption for column in self.config.captions for caption in self.train_images.column(column)]
        order = np.random.default_rng(self.config.loop.seed).permutation(len(captions))
        return StudentSamples.draw(
            student, [captions[index] for index in np.resize(order, self.config.student_images)], self.encoder
        )

    def _features(self, decoded: Tensor, images: Tensor) -> dict[str, Tensor]:
        return {} if self.perceptual is None else {"perceptual": self.perceptual(decoded, images)}

    def _ranked(self, images: Tensor, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Originals `(N, 3, H, W)`, decoded images `(M, 3, H, W)` → their logits `(M,)`, the originals' as often as needed."""
        real = self.discriminator(images)
        return real.repeat(len(decoded) // len(images)), self.discriminator(decoded)

    def _images(self, indices: list[int], draws: Draws) -> Tensor:
        images = from_uint8(self.train_images.images(indices)).to(draws.device)
        return mirror(shift(images, draws, 4), draws)

    @torch.no_grad()
    def _latents(self, images: Tensor) -> Tensor:
        return self.encoder.encode(images.to(next(self.encoder.parameters()).device))

    def _decode(self, images: Tensor, draws: Draws) -> Tensor:
        latents = self._latents(images)
        noisy = latents + self.config.latent_noise * draws.normal(*latents.shape[1:])
        return _decode_with(self.vae)(noisy)


def _start(config: DecoderConfig, encoder: AutoencoderKL) -> AutoencoderKL | AutoencoderTiny:
    """What is trained. BadInput: the decoder to go on from is of another kind, or takes other latents."""
    if config.start is None:
        return encoder if config.kind == "kl" else fresh(AutoencoderTiny, "tiny", config.tiny)
    folder, kind = trained(config.start), {"kl": AutoencoderKL, "tiny": AutoencoderTiny}[config.kind]
    values = json.loads((folder / "config.json").read_text())
    if values["_class_name"] != kind.__name__:
        raise BadInput(
            f"start: {config.start} is an {values['_class_name']}; kind {config.kind} goes on from an {kind.__name__}"
        )
    taken, given = values["latent_channels"], encoder.config["latent_channels"]
    if taken != given:
        raise BadInput(f"start: {config.start} takes latents of {taken} channels, {config.vae} gives {given}")
    weight_files.check(folder, kind)
    return kind.from_pretrained(folder)


def _decode_with(vae: nn.Module) -> Codec:
    return lambda latents: latent_autoencoder(vae).decode(latents).float()


CONFIG, METHOD = DecoderConfig, DecoderMethod
