"""Adversarial Diffusion Distillation: a student of one to four steps from a teacher (ADD, arXiv 2311.17042).

Warm-up by regression on (noise, guided teacher sample) pairs, then an adversarial game on the teacher's own features of
re-noised samples (LADD, arXiv 2403.12015) with a relativistic loss and zero-centred penalties, the distillation term of
ADD beside it. It knows nothing about graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics.distances import frechet
from models import folder as folders
from models import noise as host_noise
from models.conditioning import Conditioning
from models.config import Config
from models.pipeline import Pipeline, predict
from models.sampling import add_noise, to_x0
from models.schedule import student_scheduler
from training import latents, losses, pairs
from training.captions import Captions
from training.data.folder import ImageFolder
from training.discriminator import Discriminator, encoder_features
from training.draws import Draws
from training.loop import LoopConfig, Losses, Phase
from training.optimizer import OptimizerConfig
from training.pairs import PairsConfig
from training.runs import data_folder, run_folder
from training.teacher import Tables, open_base


class AdversarialConfig(Config):
    """The adversarial phase."""

    optimizer: OptimizerConfig
    """The student's; a tenth of the heads' rate or less."""
    discriminator: OptimizerConfig
    """The heads'."""
    width: int = 64
    """Channels of a discriminator head."""
    penalty: float = 1.0
    """Weight γ of R1 and of R2."""
    distillation: float = 0.0
    """Weight λ of ADD's distillation term, c(t) = α_t."""
    regression: float = 1.0
    """Weight of the warm-up's regression, which stays beside the game."""
    guidance: float = 2.0
    """The teacher's guidance in the distillation term."""


class StudentConfig(Config):
    """`ippo train student`."""

    run: str
    """Name of the run."""
    teacher: str
    """A run, a diffusers folder or a Hub name."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Caption columns; each sample draws one."""
    pairs: PairsConfig = PairsConfig()
    timesteps: dict[int, float] = {999: 1.0}
    """The student's timesteps and how often each is trained."""
    warmup: int = 500
    """Steps of regression before the adversarial phase."""
    warmup_optimizer: OptimizerConfig
    adversarial: AdversarialConfig
    loop: LoopConfig


class AddMethod:
    """Three phases over one student: warm-up, then discriminator and generator in turn."""

    averaged: Sequence[str] = ("student",)

    def __init__(self, config: StudentConfig) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        self.teacher = open_base(config.teacher, config.loop.attention)
        for module in (self.teacher.conditioner, self.teacher.denoiser, self.teacher.autoencoder):
            module.requires_grad_(False).eval()
        self.tables = Tables(self.teacher.schedule)
        self.student = copy.deepcopy(self.teacher.denoiser).requires_grad_(True)
        self.discriminator = Discriminator(self.teacher.denoiser, config.adversarial.width)
        self.modules: Mapping[str, nn.Module] = {"student": self.student, "discriminator": self.discriminator}
        run = run_folder(config.run)
        images = ImageFolder(data_folder(config.data), "train")
        self.latents = latents.encode(self.teacher.autoencoder, images, run / "train.safetensors")
        self.captions = Captions(images, config.captions, self.teacher.conditioner.tokenize)  # type: ignore[arg-type]
        flat = self.captions.ids.flatten(0, 1)
        device = self.teacher.device.type
        with torch.autocast(device, torch.bfloat16, enabled=config.loop.precision == "bf16"):
            self.pairs = pairs.draw(self.teacher, flat, config.pairs, run / "pairs")
        self.size = len(images)
        self.judged = self._held_features(min(1000, self.size))

    def phases(self, steps: int) -> Sequence[Phase]:
        """Warm-up up to `config.warmup`, the game from there on."""
        begin, game = self.config.warmup, self.config.adversarial
        student = list(self.student.parameters())
        return [
            Phase("warmup", student, self.config.warmup_optimizer, self.regress, stop=begin),
            Phase(
                "discriminator", list(self.discriminator.parameters()), game.discriminator, self.discern, start=begin
            ),
            Phase("generator", student, game.optimizer, self.deceive, start=begin),
        ]

    def regress(self, indices: list[int], draws: Draws) -> Losses:
        """Squared error of the student's x0 against the teacher's sample, from the very noise the teacher started with."""
        chosen = draws.integers(len(self.pairs)).cpu()
        target = self.pairs.samples[chosen].to(draws.device)
        timesteps = self._timesteps(draws)
        alpha, sigma = self.tables.at(timesteps)
        fresh = draws.normal(*target.shape[1:])
        first = (timesteps == len(self.teacher.schedule) - 1)[:, None, None, None]
        noise = torch.where(first, self.pairs.noise(chosen).to(draws.device), fresh)
        conditioning = self._condition(self.pairs.ids[chosen].to(draws.device))
        x0 = self._x0(self.student, add_noise(target, noise, alpha, sigma), timesteps, conditioning)
        return {"total": (x0 - target).square().mean()}

    def discern(self, indices: list[int], draws: Draws) -> Losses:
        """The heads' loss: tell reals from the student's samples, with R1 and R2 on the heads' inputs."""
        real, conditioning = self._reals(indices, draws)
        with torch.no_grad():
            fake = self._fake(real, conditioning, draws)
            level, real_features, fake_features = self._features(real, fake, conditioning, draws)
        with torch.autocast(draws.device.type, enabled=False):
            condition = self.discriminator.condition(conditioning, level)
            real_features, fake_features = ([map.float() for map in maps] for maps in (real_features, fake_features))
            ours = self.discriminator(real_features, condition)
            theirs = self.discriminator(fake_features, condition)
            game = losses.mean([losses.relativistic_discriminator(r, f) for r, f in zip(ours, theirs, strict=True)])
            penalty = self._penalty(real_features, condition) + self._penalty(fake_features, condition)
        right = torch.stack([(r > f).float().mean() for r, f in zip(ours, theirs, strict=True)]).mean()
        weight = self.config.adversarial.penalty
        return {"total": game + weight * penalty, "game": game, "penalty": penalty, "accuracy": right}

    def deceive(self, indices: list[int], draws: Draws) -> Losses:
        """The student's loss: adversarial, regression on the pairs, and ADD's distillation."""
        game = self.config.adversarial
        real, conditioning = self._reals(indices, draws)
        fake = self._fake(real, conditioning, draws)
        level, real_features, fake_features = self._features(real, fake, conditioning, draws)
        with torch.autocast(draws.device.type, enabled=False):
            condition = self.discriminator.condition(conditioning, level)
            ours = self.discriminator([map.float() for map in real_features], condition)
            theirs = self.discriminator([map.float() for map in fake_features], condition)
            adversarial = losses.mean([losses.relativistic_generator(r, f) for r, f in zip(ours, theirs, strict=True)])
        terms = {"adversarial": adversarial}
        if game.regression:
            terms["regression"] = game.regression * self.regress(indices, draws)["total"]
        if game.distillation:
            terms["distillation"] = game.distillation * self._distil(fake, conditioning, draws)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def validate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Fréchet distance between one-step samples and real latents in the teacher's middle features."""
        pipeline = self._averaged(averages)
        count = len(self.judged)
        seeds = range(2_000_000, 2_000_000 + count)
        start = torch.from_numpy(host_noise.gaussian(seeds, 1, pipeline.latent_shape)[0]).to(pipeline.device)
        features, errors = [], []
        for part in torch.arange(count).split(100):
            conditioning = self._condition(self.captions.ids[part, 0].to(pipeline.device))
            timesteps = torch.full((len(part),), len(pipeline.schedule) - 1, device=pipeline.device)
            x0 = self._x0(pipeline.denoiser, start[part], timesteps, conditioning)
            features.append(self._middle(x0, conditioning))
            errors.append((x0 - self.latents[part].to(x0.device)).square().mean())
        drawn = torch.cat(features).cpu().double().numpy()
        return {"score": frechet(self.judged, drawn), "spread": float(torch.stack(errors).mean())}

    def samples(self, averages: Mapping[str, nn.Module]) -> NDArray[np.uint8]:
        """Sixteen captions: the guided teacher at 16 steps above, the student at one step below, same noise."""
        prompts = self.captions.texts[0][:16]
        upper = self.teacher.generate(prompts, range(16), 16, self.config.pairs.guidance)
        lower = self._averaged(averages).generate(prompts, range(16))
        return np.concatenate([np.concatenate(list(row), axis=1) for row in (upper, lower)], axis=0)

    def save(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """The student as a diffusers folder."""
        folders.save(self._averaged(averages), folder)

    def _averaged(self, averages: Mapping[str, nn.Module]) -> Pipeline:
        scheduler = student_scheduler(self.teacher.scheduler)
        return replace(self.teacher, denoiser=averages["student"], scheduler=scheduler)

    def _timesteps(self, draws: Draws) -> Tensor:
        """Timesteps `(N,)` of the student, as often as the configuration says."""
        known = torch.tensor(list(self.config.timesteps), device=draws.device)
        share = torch.tensor(list(self.config.timesteps.values()), device=draws.device)
        edges = share.cumsum(0) / share.sum()
        return known[torch.bucketize(draws.uniform(), edges[:-1].contiguous(), right=True)]

    def _condition(self, ids: Tensor) -> Conditioning:
        with torch.no_grad():
            return self.teacher.conditioner(ids)  # type: ignore[no-any-return]

    def _reals(self, indices: list[int], draws: Draws) -> tuple[Tensor, Conditioning]:
        return self.latents[indices].to(draws.device), self._condition(self.captions.draw(indices, draws))

    def _x0(self, denoiser: nn.Module, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        alpha, sigma = self.tables.at(timesteps)
        output = predict(denoiser, sample, timesteps, conditioning).float()
        x0: Tensor = to_x0(sample, output, alpha, sigma, self.teacher.schedule.prediction_type)
        return x0

    def _fake(self, real: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """The student's x0 of a noised real, `x_s = α_s·x0 + σ_s·ε` (ADD, section 3.1)."""
        timesteps = self._timesteps(draws)
        alpha, sigma = self.tables.at(timesteps)
        noisy = add_noise(real, draws.normal(*real.shape[1:]), alpha, sigma)
        return self._x0(self.student, noisy, timesteps, conditioning)

    def _features(
        self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Noise levels and the teacher's features of both, re-noised alike: t logit-normal, the same noise."""
        levels = len(self.teacher.schedule)
        timesteps = (torch.sigmoid(draws.normal()) * levels).long().clamp(max=levels - 1)
        alpha, sigma = self.tables.at(timesteps)
        noise = draws.normal(*real.shape[1:])
        noised = [add_noise(sample, noise, alpha, sigma) for sample in (real, fake)]
        unet = self.teacher.denoiser
        with torch.no_grad():
            real_features = encoder_features(unet, noised[0], timesteps, conditioning)  # type: ignore[arg-type]
        fake_features = encoder_features(unet, noised[1], timesteps, conditioning)  # type: ignore[arg-type]
        return timesteps, real_features, fake_features

    def _penalty(self, features: Sequence[Tensor], condition: Tensor) -> Tensor:
        terms = [
            losses.gradient_penalty(lambda inputs, head=head: head(inputs, condition), feature)  # type: ignore[misc]
            for head, feature in zip(self.discriminator.heads, features, strict=True)
        ]
        return losses.mean(terms)

    def _distil(self, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Tensor:
        """`c(t)·‖x̂0 − teacher's x0 of the re-noised x̂0‖²` with c(t) = α_t (ADD, equation 4); no gradient in the teacher."""
        timesteps = draws.integers(len(self.teacher.schedule))
        alpha, sigma = self.tables.at(timesteps)
        with torch.no_grad():
            noisy = add_noise(fake.detach(), draws.normal(*fake.shape[1:]), alpha, sigma)
            output = self.teacher.denoise(conditioning, self.config.adversarial.guidance)(noisy, timesteps).float()
            target = to_x0(noisy, output, alpha, sigma, self.teacher.schedule.prediction_type)
        return (alpha * (fake - target).square()).mean()

    @torch.no_grad()
    def _held_features(self, count: int) -> NDArray[np.float64]:
        parts = [
            self._middle(self.latents[part], self._condition(self.captions.ids[part, 0]))
            for part in torch.arange(count).split(100)
        ]
        return torch.cat(parts).cpu().double().numpy()

    def _middle(self, x0: Tensor, conditioning: Conditioning) -> Tensor:
        """The teacher's middle features, averaged over positions, of a lightly noised sample: `(N, C)`."""
        timesteps = torch.full((len(x0),), len(self.teacher.schedule) // 10, device=x0.device)
        alpha, sigma = self.tables.at(timesteps)
        noise = Draws.at(3, 0, range(len(x0)), x0.device).normal(*x0.shape[1:])
        noisy = add_noise(x0, noise, alpha, sigma)
        features = encoder_features(self.teacher.denoiser, noisy, timesteps, conditioning)  # type: ignore[arg-type]
        return features[-1].mean(dim=(2, 3))


CONFIG, METHOD = StudentConfig, AddMethod
