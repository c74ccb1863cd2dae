"""Block-reduced denoisers: a smaller UNet that copies the blocks that stay; it knows nothing about healing it.

Which layers stay follows BK-SDM (arXiv 2305.15798, section 3.1): the first of every encoder block, the first and the last
of every decoder block, whose inputs' widths are those of the smaller network.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from models.config import nearest
from models.errors import BadInput


def reduced(denoiser: nn.Module, changes: Mapping[str, Any]) -> nn.Module:
    """A copy of `denoiser` with `changes` to its configuration: weights that have a counterpart of their shape, and of
    wider ones the leading channels, come from it; the rest is fresh.

    Examples: `{layers_per_block: 1}`, `{mid_block_type: null}`, `{block_out_channels: [64, 64]}`.
    BadInput: a change that names no key of the configuration, or that no UNet can have.
    """
    if not changes:
        return copy.deepcopy(denoiser)
    known = {key: value for key, value in cast(UNet2DConditionModel, denoiser).config.items() if key[0] != "_"}
    for key in changes:
        if key not in known:
            raise BadInput(f"reduce: unknown key '{key}'{nearest(key, known)}")
    try:
        smaller: nn.Module = UNet2DConditionModel.from_config({**known, **changes})  # type: ignore[assignment]
    except (ValueError, TypeError) as error:
        raise BadInput(f"reduce: no UNet is made of {dict(changes)}: {error}") from error
    _copy(denoiser, smaller)
    return smaller


@torch.no_grad()
def _copy(source: nn.Module, target: nn.Module) -> None:
    given, taken = source.state_dict(), target.state_dict()
    for name, weight in taken.items():
        original = given.get(_counterpart(name, given, taken))
        if original is None or original.ndim != weight.ndim:
            continue
        if all(ours <= theirs for ours, theirs in zip(weight.shape, original.shape, strict=True)):
            weight.copy_(original[tuple(slice(side) for side in weight.shape)])


def _counterpart(name: str, given: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    """The name in the larger network: the last layer of a decoder block stays the last."""
    found = re.match(r"(up_blocks\.\d+\.(?:resnets|attentions)\.)(\d+)(\..*)", name)
    if found is None:
        return name
    front, place, rest = found[1], int(found[2]), found[3]
    last, last_given = _last(front, taken), _last(front, given)
    return f"{front}{last_given if place == last and place > 0 else place}{rest}"


def _last(front: str, weights: Mapping[str, Any]) -> int:
    return max((int(name[len(front) :].split(".")[0]) for name in weights if name.startswith(front)), default=0)
