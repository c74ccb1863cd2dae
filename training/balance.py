"""Bring the activations of a trained KL autoencoder into fp16's range without changing what it computes.

Every residual stream of the network ends in a GroupNorm, so its scale is free, and training lets it drift: by tens of
thousands, with one position far above the others. Scaling all that is written into a stream by one factor undoes that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

LARGEST = 128.0
"""What a stream's largest activation is brought down to; smaller streams stay as they are."""


@torch.no_grad()
def balance(vae: AutoencoderKL, images: Tensor) -> None:
    """Rescale the streams of encoder and decoder in place, by their activations on `images` `(N, 3, H, W)`."""
    streams = [*_streams(vae.encoder, "down"), *_streams(vae.decoder, "up")]
    largest = [0.0] * len(streams)
    hooks = [
        block.register_forward_hook(_note(largest, index))
        for index, (_, blocks) in enumerate(streams)
        for block in blocks
    ]
    vae.decode(vae.encode(images).latent_dist.mode())
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


def _streams(part: Any, direction: str) -> list[tuple[nn.Conv2d, list[nn.Module]]]:
    """(the convolution that starts a stream, the blocks that write into it), in order."""
    blocks: Sequence[Any] = getattr(part, f"{direction}_blocks")
    resized = [getattr(block, f"{direction}samplers") for block in blocks]
    starts = [part.conv_in, *(samplers[0].conv for samplers in resized if samplers)]
    members: list[list[nn.Module]] = [[*block.resnets] for block in blocks]
    middle = [*part.mid_block.resnets, *part.mid_block.attentions]
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
