"""diffusers' `AutoencoderKL` as an autoencoder: its latents normalised, its activations in fp16's range; it trains nothing.

Shapes: `N` batch, `C` latent channels, `h w` latent, `H W` pixels, `p` patch size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import BadInput
from models.latent_autoencoder import LatentAutoencoder

SHIFTS = ("shift_factor", "latents_mean", "latents_std")
"""Keys of a configuration that move latents before they are scaled."""
LARGEST = 128.0
"""What a stream's largest activation is brought down to; smaller streams stay as they are."""


class KLAutoencoder(LatentAutoencoder):
    """An `AutoencoderKL`; its latents are the distribution's mode, without what its configuration shifts them by."""

    def __init__(self, vae: nn.Module) -> None:
        """BadInput: its configuration shifts latents, and it has no convolution to fold that into."""
        super().__init__(vae)
        fold_shift(self.vae)

    def encode_patches(self, patches: Tensor) -> Tensor:
        """Patches `(N, 3·p², H/p, W/p)` in [−1, 1] → the mode of their latents as they are `(N, C, h, w)`."""
        latents: Tensor = self.vae.encode(patches).latent_dist.mode()
        return latents

    def decoder_weights(self) -> list[nn.Parameter]:
        """Those of the decoder, and of the convolution before it."""
        modules = [self.vae.decoder, self.vae.post_quant_conv]
        return [weight for module in modules if module is not None for weight in module.parameters()]

    def fit_for_half(self, images: Tensor) -> None:
        """`balance` it, by its activations on `images (N, 3, H, W)` in [−1, 1]."""
        balance(self, images)


Wrapped = KLAutoencoder


@torch.no_grad()
def normalise(autoencoder: KLAutoencoder, images: Tensor) -> None:
    """Fold an affine map into the quant convolutions in place: latents of `images` get mean 0 and spread 1 a channel.

    `images (N, 3, H, W)` in [−1, 1].
    """
    vae = autoencoder.vae
    latents = torch.cat([autoencoder.to_latents(batch) for batch in images.split(64)])  # (N, C, h, w)
    _fold(vae, latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3)))
    vae.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def fold_shift(vae: Any) -> None:
    """Fold `shift_factor`, or `latents_mean` and `latents_std` `(C,)`, of its configuration into the quant convolutions.

    Scaled latents are then `z·scaling_factor`, as everywhere here; images stay as they are. BadInput: there are none.
    """
    shift, mean, spread = (vae.config.get(key) for key in SHIFTS)
    if not shift and mean is None and spread is None:
        return
    if vae.quant_conv is None or vae.post_quant_conv is None:
        raise BadInput(f"an autoencoder with {' or '.join(SHIFTS)} and without quant_conv is not read")
    ones = torch.ones(int(vae.config["latent_channels"]))
    means = (shift or 0.0) * ones if mean is None else torch.tensor(mean, dtype=torch.float32).flatten()
    spreads = ones if spread is None else torch.tensor(spread, dtype=torch.float32).flatten()
    if len(means) != len(ones) or len(spreads) != len(ones) or (shift and mean is not None):
        raise BadInput(f"an autoencoder of {len(ones)} latent channels has {', '.join(SHIFTS)} of other sizes, or both")
    _fold(vae, means, spreads)
    vae.register_to_config(**dict.fromkeys(SHIFTS))


def _fold(vae: Any, mean: Tensor, spread: Tensor) -> None:
    """Latents become `(z − mean)/spread`, each `(C,)`, and are mapped back before they are decoded."""
    channels = len(mean)
    into, out = vae.quant_conv, vae.post_quant_conv
    mean, spread = mean.to(into.weight), spread.to(into.weight)
    into.weight[:channels] /= spread[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / spread
    into.bias[channels:] -= 2 * spread.log()
    out.bias += (out.weight[:, :, 0, 0] * mean).sum(dim=1)
    out.weight *= spread[None, :, None, None]


@torch.no_grad()
def balance(autoencoder: KLAutoencoder, images: Tensor) -> None:
    """Rescale encoder and decoder in place, by their activations on `images (N, 3, H, W)`; what they compute stays.

    Every residual stream of the network ends in a GroupNorm, so its scale is free, and training lets it drift: by tens of
    thousands, with one position far above the others. Scaling all that is written into a stream by one factor undoes that.
    """
    vae = autoencoder.vae
    streams = [*_streams(vae.encoder, "down"), *_streams(vae.decoder, "up")]
    largest = [0.0] * len(streams)
    hooks = [
        block.register_forward_hook(_note(largest, index))
        for index, (_, blocks) in enumerate(streams)
        for block in blocks
    ]
    autoencoder.from_latents(autoencoder.to_latents(images))
    for hook in hooks:
        hook.remove()
    before = 1.0
    for (start, blocks), peak in zip(streams, largest, strict=True):
        first = start in (vae.encoder.conv_in, vae.decoder.conv_in)
        factor = min(1.0, LARGEST / peak)
        _scale(start, factor / (1.0 if first else before), factor)
        for block in blocks:
            _scale_block(block, factor)
        before = factor


def _streams(coder: Any, direction: str) -> list[tuple[nn.Conv2d, list[nn.Module]]]:
    """(the convolution that starts a stream, the blocks that write into it), in order."""
    blocks: Sequence[Any] = getattr(coder, f"{direction}_blocks")
    resized = [getattr(block, f"{direction}samplers") for block in blocks]
    starts = [coder.conv_in, *(samplers[0].conv for samplers in resized if samplers)]
    members: list[list[nn.Module]] = [[*block.resnets] for block in blocks]
    attentions = [block for block in coder.mid_block.attentions if block is not None]
    middle = [*coder.mid_block.resnets, *attentions]
    members[0 if direction == "up" else -1] += middle
    return list(zip(starts, members, strict=True))


def _note(largest: list[float], index: int) -> Any:
    def note(module: nn.Module, taken: Any, given: Tensor) -> None:
        largest[index] = max(largest[index], float(given.abs().max()))

    return note


def _scale_block(block: Any, factor: float) -> None:
    for writer in _writers(block):
        _scale(writer, factor, factor)
    shortcut = getattr(block, "conv_shortcut", None)
    if shortcut is not None:  # it reads the stream before, or the same one: already scaled
        _scale(shortcut, 1.0, factor)


def _writers(block: Any) -> Iterator[nn.Module]:
    yield block.conv2 if hasattr(block, "conv2") else block.to_out[0]


def _scale(layer: Any, weight: float, bias: float) -> None:
    layer.weight *= weight
    if layer.bias is not None:
        layer.bias *= bias
