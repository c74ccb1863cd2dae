"""Feature networks a discriminator looks through, frozen: the teacher's own encoder or a vision transformer.

It knows nothing about losses or students. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from base.errors import BadInput
from models.architecture import architecture
from models.conditioning import Conditioning
from models.sampling import add_noise
from training.run.draws import Draws
from training.schedule_tables import Tables

Augmentation = Literal["translation", "cutout", "colour"]


@dataclass(frozen=True)
class View:
    """How one batch is looked at: reals and fakes that are compared share it."""

    timesteps: Tensor  # (N,): the noise level, for networks that look at noisy samples
    noise: Tensor  # (N, C, h, w)
    moves: Tensor  # (N, 7) uniform numbers for the augmentations


class Features(Protocol):
    """Latents → feature maps."""

    channels: Sequence[int]
    """Channels of every map."""
    noisy: bool
    """Whether the noise level of a view matters."""

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        """Latents `(N, C, h, w)` → maps `(N, C_i, h_i, w_i)`."""


class TeacherFeatures:
    """The teacher's own feature maps of re-noised latents (LADD, arXiv 2403.12015, section 3)."""

    noisy = True

    def __init__(self, denoiser: nn.Module, tables: Tables, kinds: Sequence[Augmentation] = ()) -> None:
        self.inside, self.tables, self.kinds = architecture(denoiser), tables, kinds
        self.channels: Sequence[int] = self.inside.feature_channels

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        alpha, sigma = self.tables.at(view.timesteps)
        noisy = add_noise(augment(sample, view.moves, self.kinds), view.noise, alpha, sigma)
        return self.inside.feature_maps(noisy, view.timesteps, conditioning)


class VisionFeatures:
    """A frozen vision transformer of transformers (DINO, DINOv2, CLIP) on the decoded pictures (ADD, section 3.2).

    The maps are the patch tokens after `layers` evenly spaced layers, the last one among them.
    BadInput: the folder or Hub name holds no vision transformer.
    """

    noisy = False

    def __init__(
        self, name: str, decode: Callable[[Tensor], Tensor], kinds: Sequence[Augmentation] = (), layers: int = 4
    ) -> None:
        try:
            network: Any = AutoModel.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise BadInput(f"{name} is neither 'teacher' nor a folder or Hub name of a vision transformer") from error
        network = getattr(network, "vision_model", network)
        config = network.config
        if not hasattr(config, "patch_size") or not hasattr(config, "num_hidden_layers"):
            raise BadInput(f"{name} is a {type(network).__name__}, not a vision transformer (DINO, DINOv2, CLIP)")
        self.network, self.decode = network.requires_grad_(False).eval(), decode
        self.kinds = kinds
        self.side = min(int(config.image_size), _SIDE)
        self.grid = self.side // int(config.patch_size)
        depth = int(config.num_hidden_layers)
        self.taken = [round(depth * (place + 1) / min(layers, depth)) for place in range(min(layers, depth))]
        self.channels: Sequence[int] = [int(config.hidden_size)] * len(self.taken)
        self.mean, self.deviation = _normalisation(name)

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        states = self._states(augment(self.decode(sample), view.moves, self.kinds))
        return [
            states[layer][:, -(self.grid**2) :].mT.unflatten(2, (self.grid, self.grid)).contiguous()
            for layer in self.taken
        ]

    def embed(self, sample: Tensor) -> Tensor:
        """The class token of the decoded pictures `(N, D)`: what a discriminator's image projection is told."""
        return self._states(self.decode(sample))[-1][:, 0]

    def _states(self, images: Tensor) -> Sequence[Tensor]:
        self.network.to(images.device)
        size = (self.side, self.side)
        resized = functional.interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True)
        pixels = (resized / 2 + 0.5 - self.mean.to(images.device)) / self.deviation.to(images.device)
        states: Sequence[Tensor] = self.network(pixel_values=pixels, output_hidden_states=True).hidden_states
        return states


def draw_view(draws: Draws, sample: Tensor, levels: int) -> View:
    """One view of a batch: t logit-normal (LADD: mean 0, deviation 1), noise, augmentation numbers."""
    timesteps = (torch.sigmoid(draws.normal()) * levels).long().clamp(max=levels - 1)
    return View(timesteps, draws.normal(*sample.shape[1:]), draws.uniform(7))


def augment(sample: Tensor, moves: Tensor, kinds: Sequence[Augmentation]) -> Tensor:
    """Differentiable augmentation `(N, C, h, w)`, the same for the same numbers (arXiv 2006.10738, section 3.2)."""
    if "translation" in kinds:
        sample = _translate(sample, moves[:, :2])
    if "cutout" in kinds:
        sample = _cut_out(sample, moves[:, 2:4])
    if "colour" in kinds:
        sample = _recolour(sample, moves[:, 4:])
    return sample


_SIDE = 224
"""Pixels a vision transformer sees at most a side, as in ADD."""


def _translate(sample: Tensor, moves: Tensor) -> Tensor:
    """Moved by up to an eighth of the side, edges repeated."""
    count, _, height, width = sample.shape
    reach = math.ceil(height / 8)
    padded = functional.pad(sample, (reach,) * 4, mode="replicate")
    offsets = (moves * (2 * reach + 1)).long().clamp(max=2 * reach).to(sample.device)
    rows = (offsets[:, :1] + torch.arange(height, device=sample.device))[:, None, :, None]
    columns = (offsets[:, 1:] + torch.arange(width, device=sample.device))[:, None, None, :]
    number = torch.arange(count, device=sample.device)[:, None, None, None]
    channel = torch.arange(sample.shape[1], device=sample.device)[None, :, None, None]
    return padded[number, channel, rows, columns]


def _cut_out(sample: Tensor, moves: Tensor) -> Tensor:
    """A square of half the side set to zero, its centre anywhere."""
    height, width = sample.shape[2:]
    centres = moves.to(sample.device) * torch.tensor([height, width], device=sample.device)
    rows = (torch.arange(height, device=sample.device) + 0.5 - centres[:, :1]).abs() < height / 4
    columns = (torch.arange(width, device=sample.device) + 0.5 - centres[:, 1:]).abs() < width / 4
    return sample * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _recolour(sample: Tensor, moves: Tensor) -> Tensor:
    """Brightness by ±0.5, saturation by 0 to 2, contrast by 0.5 to 1.5, in this order."""
    brightness, saturation, contrast = moves.to(sample.device)[:, :, None, None, None].unbind(1)
    sample = sample + brightness - 0.5
    grey = sample.mean(dim=1, keepdim=True)
    sample = grey + (sample - grey) * 2 * saturation
    middle = sample.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (sample - middle) * (contrast + 0.5)


def _normalisation(name: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation `(3, 1, 1)` of the network's preprocessor, ImageNet's where a folder does not say."""
    file = Path(name) / "preprocessor_config.json"
    said = json.loads(file.read_text()) if file.is_file() else {}
    mean = said.get("image_mean", (0.485, 0.456, 0.406))
    deviation = said.get("image_std", (0.229, 0.224, 0.225))
    return torch.tensor(mean)[:, None, None], torch.tensor(deviation)[:, None, None]
