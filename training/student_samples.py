"""What a student draws in one step, and how its colours lie: what a decoder for its pictures learns from.

It knows nothing about the decoder that is trained. Shapes: `N` batch, `P` pictures, `C` channels, `h w` latent, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from base.errors import BadInput
from models.latent_autoencoder import LatentAutoencoder
from models.pipeline import Pipeline
from training.assemble import opened
from training.run import tensor_cache
from training.run.device import device
from training.run.draws import Draws
from training.subsets import split

_SEED = 2_000_000


@dataclass(frozen=True)
class Drawn:
    """A student's pictures, and the layouts that a new decoder may not change."""

    latents: Tensor  # (P, C, h, w)
    layouts: Tensor  # (P, 3, H / 4, W / 4)

    @classmethod
    def by(cls, name: str, captions: Sequence[str], before: LatentAutoencoder) -> Drawn:
        """One picture a caption; `before` decodes the layouts. BadInput: the student draws other latents than it decodes."""
        student = opened(name).to(device())
        given, taken = student.latent_shape[0], before.latent_channels
        if given != taken:
            raise BadInput(f"student: {name} draws latents of {given} channels, the autoencoder has {taken}")
        networks = (student.conditioner, student.denoiser, before.vae)
        made_by = tensor_cache.digest(networks, student.scheduler, list(captions), _SEED)
        kept = tensor_cache.cached_tensors(f"drawn-{made_by}", lambda: _draw(student, captions, before, name))
        return cls(kept["latents"], kept["layouts"])

    def some(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """As many latents and layouts as there are draws."""
        places = draws.integers(len(self.latents)).cpu()
        return self.latents[places].to(draws.device), self.layouts[places].to(draws.device)


def layout(images: Tensor) -> Tensor:
    """Means over squares of 4 by 4 pixels."""
    return functional.avg_pool2d(images, 4)


@torch.no_grad()
def _draw(student: Pipeline, captions: Sequence[str], before: LatentAutoencoder, name: str) -> dict[str, Tensor]:
    latents, layouts = [], []
    for part in track(split(len(captions), student.latent_shape, 64), f"pictures of {name}"):
        drawn = student.sample([captions[place] for place in part], [_SEED + int(place) for place in part])
        latents.append(drawn.float().cpu())
        layouts.append(layout(before.decode(drawn)).float().cpu())
    return {"latents": torch.cat(latents), "layouts": torch.cat(layouts)}
