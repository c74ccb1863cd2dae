"""Feature networks a discriminator looks through, frozen: the teacher's own encoder or a vision transformer.

It knows nothing about losses or students. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from base.errors import BadInput
from base.safetensors_head import check_folder
from models.architecture import architecture
from models.conditioning import Conditioning
from models.folder import on_hub
from models.sampling import add_noise
from training.run.draws import Draws
from training.schedule_tables import Tables


@dataclass(frozen=True)
class View:
    """How one batch is looked at: reals and fakes that are compared share it."""

    timesteps: Tensor  # (N,): the noise level, for networks that look at noisy samples
    noise: Tensor  # (N, C, h, w)


LAYERS = 4
"""Evenly spaced layers of a vision transformer that get a head, at most."""
_PREPROCESSOR = "preprocessor_config.json"
_SIDE = 224
"""Pixels a vision transformer sees at most a side, as in ADD."""


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

    def __init__(self, denoiser: nn.Module, tables: Tables) -> None:
        self.inside, self.tables = architecture(denoiser), tables
        self.channels: Sequence[int] = self.inside.feature_channels

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        alpha, sigma = self.tables.at(view.timesteps)
        noisy = add_noise(sample, view.noise, alpha, sigma)
        return self.inside.feature_maps(noisy, view.timesteps, conditioning)


class VisionFeatures:
    """A frozen vision transformer of transformers (DINO, DINOv2, CLIP) on the decoded pictures (ADD, section 3.2).

    The maps are the patch tokens after `LAYERS` evenly spaced layers, the last one among them.
    BadInput: the folder or Hub name holds no vision transformer.
    """

    noisy = False

    def __init__(self, name: str, decode: Callable[[Tensor], Tensor]) -> None:
        try:
            check_folder(Path(name))
            here_alone = not Path(name).exists() and not on_hub(name)
            network: Any = AutoModel.from_pretrained(name, local_files_only=here_alone)
        except BadInput:
            raise
        except (OSError, ValueError) as error:
            raise BadInput(f"{name} is neither 'teacher' nor a folder or Hub name of a vision transformer") from error
        network = getattr(network, "vision_model", network)
        config = network.config
        if not hasattr(config, "patch_size") or not hasattr(config, "num_hidden_layers"):
            raise BadInput(f"{name} is a {type(network).__name__}, not a vision transformer (DINO, DINOv2, CLIP)")
        self.network, self.decode = network.requires_grad_(False).eval(), decode
        self.side = min(int(config.image_size), _SIDE)
        self.grid = self.side // int(config.patch_size)
        depth = int(config.num_hidden_layers)
        count = min(LAYERS, depth)
        self.layers = [round(depth * (index + 1) / count) for index in range(count)]
        self.channels: Sequence[int] = [int(config.hidden_size)] * count
        self.mean, self.deviation = _normalisation(name, here_alone)

    def __call__(self, sample: Tensor, view: View, conditioning: Conditioning) -> list[Tensor]:
        states = self._states(self.decode(sample))
        return [
            states[layer][:, -(self.grid**2) :].mT.unflatten(2, (self.grid, self.grid)).contiguous()
            for layer in self.layers
        ]

    def _states(self, images: Tensor) -> Sequence[Tensor]:
        self.network.to(images.device)
        size = (self.side, self.side)
        resized = functional.interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True)
        pixels = (resized / 2 + 0.5 - self.mean.to(images.device)) / self.deviation.to(images.device)
        states: Sequence[Tensor] = self.network(pixel_values=pixels, output_hidden_states=True).hidden_states
        return states


def draw_view(draws: Draws, sample: Tensor, levels: int) -> View:
    """One view of a batch `(N, C, h, w)`: timesteps below `levels`, logit-normal (LADD: mean 0, deviation 1), and noise."""
    timesteps = (torch.sigmoid(draws.normal()) * levels).long().clamp(max=levels - 1)
    return View(timesteps, draws.normal(*sample.shape[1:]))


def _normalisation(name: str, here_alone: bool) -> tuple[Tensor, Tensor]:
    """Mean and deviation `(3, 1, 1)` of the preprocessor that lies beside the network, ImageNet's where there is none.

    `here_alone`: the Hub is not asked for it.
    """
    file = Path(name) / _PREPROCESSOR
    if not Path(name).is_dir():
        with suppress(EntryNotFoundError):
            file = Path(hf_hub_download(name, _PREPROCESSOR, local_files_only=here_alone))
    said = json.loads(file.read_text()) if file.is_file() else {}
    mean = said.get("image_mean", (0.485, 0.456, 0.406))
    deviation = said.get("image_std", (0.229, 0.224, 0.225))
    return torch.tensor(mean)[:, None, None], torch.tensor(deviation)[:, None, None]
