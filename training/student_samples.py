"""What a student draws in one step, and how its colours lie: what a decoder for its images learns from.

It knows nothing about the decoder that is trained. Shapes: `N` batch, `P` images, `C` channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from base.errors import BadInput
from base.progress import track
from models.latent_autoencoder import LatentAutoencoder
from models.pipeline import Pipeline
from training.assemble import opened
from training.run import tensor_cache
from training.run.device import device
from training.run.draws import Draws
from training.subsets import split

_SEED = 2_000_000


@dataclass(frozen=True)
class StudentSamples:
    """A student's latents, and the layouts of their images, which a new decoder may not change."""

    latents: Tensor  # (P, C, h, w)
    layouts: Tensor  # (P, 3, H / 4, W / 4)

    @classmethod
    def draw(cls, name: str, captions: Sequence[str], autoencoder: LatentAutoencoder) -> StudentSamples:
        """Draw P captions, or open what was drawn before; `autoencoder` decodes the layouts.

        BadInput: the student draws other latents than it decodes.
        """
        student = opened(name).to(device())
        given, taken = student.latent_shape[0], autoencoder.latent_channels
        if given != taken:
            raise BadInput(f"student: {name} draws latents of {given} channels, the autoencoder has {taken}")
        networks = (student.conditioner, student.denoiser, autoencoder.vae)
        ids = student.conditioner.tokenize(captions)
        made_by = tensor_cache.digest(networks, student.scheduler, student.latent_shape, ids, _SEED)
        arrays = tensor_cache.cached_tensors(f"drawn-{made_by}", lambda: _draw(student, captions, autoencoder, name))
        return cls(arrays["latents"], arrays["layouts"])

    def batch(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Latents `(N, C, h, w)` and layouts `(N, 3, H/4, W/4)`, one for each draw."""
        indices = draws.integers(len(self.latents)).cpu()
        return self.latents[indices].to(draws.device), self.layouts[indices].to(draws.device)


def layout(images: Tensor) -> Tensor:
    """Means over squares of 4 by 4 pixels: images `(N, 3, H, W)` → `(N, 3, H/4, W/4)`."""
    return functional.avg_pool2d(images, 4)


@torch.no_grad()
def _draw(student: Pipeline, captions: Sequence[str], autoencoder: LatentAutoencoder, name: str) -> dict[str, Tensor]:
    latents, layouts = [], []
    for indices in track(split(len(captions), student.latent_shape, 64), f"pictures of {name}"):
        samples = student.sample([captions[i] for i in indices], [_SEED + int(i) for i in indices])  # (N, C, h, w)
        latents.append(samples.float().cpu())
        layouts.append(layout(autoencoder.decode(samples)).float().cpu())
    return {"latents": torch.cat(latents), "layouts": torch.cat(layouts)}
