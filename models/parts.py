"""The parts of a pipeline as everybody else sees them: conditioner, denoiser, autoencoder; it knows no family and no task.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes, `V` vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from models.conditioning import Conditioning
from models.labels import Input
from models.pixel_tensors import to_uint8
from models.word_by_word import ByWord


class Conditioner(nn.Module, ABC):
    """Inputs of a task → `Conditioning`."""

    @abstractmethod
    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Task inputs → ids `(N, S)` int64, or weights `(N, A)`. BadInput: an input that this conditioner does not know."""

    def beyond(self, inputs: Sequence[Input]) -> list[str]:
        """The end of each input that `tokenize` leaves out because it is too long; nothing of those that it takes whole."""
        return [""] * len(inputs)

    @abstractmethod
    def forward(self, ids: Tensor) -> Conditioning:
        """What `tokenize` gives, ids `(N, S)` or weights `(N, A)` → conditioning of N samples."""

    def null_beside(self, null: Conditioning, conditioning: Conditioning) -> Conditioning:
        """What guidance compares a conditioning with, arrays `(N, …)`: the null condition, by default as it is."""
        return null

    if TYPE_CHECKING:

        def __call__(self, ids: Tensor) -> Conditioning:
            """`forward`, as torch calls it."""


class Denoiser(Protocol):
    """How every denoiser of diffusers is called; what is inside of one, `models.architecture` knows."""

    def __call__(self, sample: Tensor, timestep: Tensor | int, **conditioning: Tensor) -> Any:
        """Sample `(N, C, h, w)` at timestep(s) `()` or `(N,)`, conditioning by the names of `Conditioning`'s fields.

        The model output `(N, C, h, w)` is the field `sample` of what comes back.
        """


class Autoencoder(nn.Module, ABC):
    """Data ↔ latents of about unit variance: pixels in [−1, 1] or token ids; pixel diffusion uses the identity."""

    by_word: ByWord | None = None
    """How it writes, where its decoder runs once for every word; `next_token` is then what runs."""

    @property
    @abstractmethod
    def scaling_factor(self) -> float:
        """What brings latents as they are to unit variance."""

    @abstractmethod
    def to_latents(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` or ids `(N, S)` → latents as they are `(N, C, h, w)`; what the exported encoder computes."""

    @abstractmethod
    def from_latents(self, latents: Tensor) -> Tensor:
        """Latents as they are `(N, C, h, w)` → images `(N, 3, H, W)` or ids `(N, S)`; what the exported decoder computes."""

    def next_token(self, latents: Tensor, ids: Tensor, position: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Latents as they are `(N, C, h, w)`, tokens `(N, 1)` at a place `()`, what was before them `(N, …)`.

        Gives the logits of the next tokens `(N, V)`, and what is then before.
        """
        raise NotImplementedError("this decoder gives all at once")

    def encode(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` → scaled latents `(N, C, h, w)`."""
        return self.to_latents(images) * self.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents `(N, C, h, w)` → images `(N, 3, H, W)`."""
        return self.from_latents(latents / self.scaling_factor)

    def output(self, latents: Tensor) -> NDArray[Any]:
        """Scaled latents `(N, C, h, w)` → what the pipeline gives: by default images `(N, H, W, 3)` uint8."""
        return to_uint8(self.decode(latents))

    def texts(self, ids: NDArray[np.int64]) -> list[str]:
        """Token ids `(N, S)` that `output` gave → N texts, where it gives such."""
        raise NotImplementedError("this autoencoder is of images")

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """Scaled latents `(N, C, h, w)` → what somebody looks at while training, `(N, H, W, 3)`; by default the output."""
        return self.output(latents)


def predict(denoiser: Denoiser, sample: Tensor, timestep: Tensor | int, conditioning: Conditioning) -> Tensor:
    """One call of a denoiser: sample `(N, C, h, w)` at timestep(s) `()` or `(N,)` → model output `(N, C, h, w)`."""
    output: Tensor = denoiser(sample, timestep, **conditioning.arrays()).sample
    return output
