"""What training and export ask of a denoiser's inside; it knows no network: `models/unet.py` and its like do.

Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from models.conditioning import Conditioning
from models.implementation import file_named, file_of

TOKENS = 77
"""Tokens of an example's text: as many as CLIP's tokenizers give."""


class Architecture(Protocol):
    """The inside of one denoiser; a file of `models/` gives it by `view(denoiser)`, and new networks by `make(config)`."""

    side_multiple: int
    """What the sides of a latent must be multiples of."""
    widths: tuple[int, ...]
    """Channels of its stages, outermost first."""
    feature_channels: tuple[int, ...]
    """Channels of each of `feature_maps`."""
    interface: dict[str, Any]
    """What two denoisers must have in common to stand in for each other, by the names of the configuration."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(C, h, w)` of the samples that it was made for. BadInput: it was made for none of one square size."""

    @property
    def text_width(self) -> int:
        """D, the width of `encoder_hidden_states` `(N, S, D)`."""

    def feature_maps(self, sample: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Inner maps `(N, C_i, h_i, w_i)` of noisy latents `(N, C, h, w)` at timesteps `(N,)`, for a discriminator's heads."""

    def stage_maps(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Stage → the map `(N, C_i, h_i, w_i)` at its end, of the call that is made meanwhile; equal names are comparable."""

    def last_weight(self) -> nn.Parameter:
        """The weights of the last layer."""

    def error(self, output: Any, prediction: Tensor, target: Tensor) -> Tensor:
        """How wrong a prediction `(N, C, h, w)`, made of the model output `output`, is of its target: `(N,)`.

        What training minimises: mean squared error, or where a network gives logits of tokens their cross-entropy.
        """

    def example_inputs(self, batch: int) -> tuple[Tensor, Conditioning]:
        """Zeros of the shapes that it takes: a sample `(batch, C, h, w)` and its conditioning."""

    def reduced(self, changes: Mapping[str, Any] | str) -> nn.Module:
        """A smaller copy: `changes` to the configuration, or the name of a published removal; none: an equal copy.

        Weights that have a counterpart come from here. BadInput: changes that no such network can have.
        """

    def fresh(self) -> nn.Module:
        """Another network of the same configuration, with random weights."""

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass instead of storing them."""

    def use_plain_attention(self) -> None:
        """Write attention out as matrix products, without torch's fused kernels."""


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of predictions `(N, C, h, w)`: one number a sample `(N,)`."""
    return (prediction.float() - target).square().mean(dim=(1, 2, 3))


@contextmanager
def hooked(maps: dict[str, Tensor], hooks: Iterable[RemovableHandle]) -> Iterator[dict[str, Tensor]]:
    """`maps` of arrays `(N, C_i, h_i, w_i)` while the hooks that fill them are in place."""
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


def architecture(denoiser: nn.Module) -> Architecture:
    """The inside of a denoiser. BadInput: no file of `models/` knows its class."""
    return cast(Architecture, file_of(denoiser).view(denoiser))


def make(config: Mapping[str, Any]) -> nn.Module:
    """A denoiser with random weights, from its `config.json`. BadInput: no file of `models/` knows its class."""
    return cast(nn.Module, file_named(str(config.get("_class_name"))).make(config))
