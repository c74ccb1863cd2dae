"""Block-reduced UNets: a smaller one that copies the blocks that stay; it knows nothing about healing it.

Which layers stay follows BK-SDM (arXiv 2305.15798, section 3.1): the first of every encoder block, the first and the last
of every decoder block, whose inputs' widths are those of the smaller network.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from base.config import nearest
from base.errors import BadInput

Removal = Literal["base", "small", "tiny"]
"""BK-SDM's own: one layer less in every block; no middle block either; and no innermost stage (its figure 3)."""

_STAGES = ("block_out_channels", "down_block_types", "attention_head_dim", "transformer_layers_per_block")


def removal(name: Removal, config: Mapping[str, Any]) -> dict[str, Any]:
    """The changes to a UNet's configuration that a published removal makes."""
    changes: dict[str, Any] = {"layers_per_block": 1}
    if name != "base":
        changes["mid_block_type"] = None
    if name == "tiny":
        changes |= {key: list(config[key])[:-1] for key in _STAGES if isinstance(config.get(key), (list, tuple))}
        changes["up_block_types"] = list(config["up_block_types"])[1:]
    return changes


def reduced(denoiser: nn.Module, changes: Mapping[str, Any] | str) -> nn.Module:
    """A copy of `denoiser` with `changes` to its configuration: weights that have a counterpart of their shape, and of
    wider ones the leading channels, come from it; the rest is fresh.

    Examples: `small`, `{layers_per_block: 1}`, `{mid_block_type: null}`, `{block_out_channels: [64, 64]}`.
    BadInput: a change that names no key of the configuration, or that no UNet can have.
    """
    if not changes:
        return copy.deepcopy(denoiser)
    known = {key: value for key, value in cast(UNet2DConditionModel, denoiser).config.items() if key[0] != "_"}
    if isinstance(changes, str):
        changes = removal(cast(Removal, changes), known)
    for key in changes:
        if key not in known:
            raise BadInput(f"reduce: unknown key '{key}'{nearest(key, known)}")
    try:
        smaller: nn.Module = cast(Any, type(denoiser)).from_config({**known, **changes})
    except (ValueError, TypeError) as error:
        raise BadInput(f"reduce: no UNet is made of {dict(changes)}: {error}") from error
    _copy(denoiser, smaller)
    return smaller


@torch.no_grad()
def _copy(source: nn.Module, target: nn.Module) -> None:
    larger, smaller = source.state_dict(), target.state_dict()
    for name, weight in smaller.items():
        original = larger.get(_counterpart(name, larger, smaller))
        if original is None or original.ndim != weight.ndim:
            continue
        if all(ours <= theirs for ours, theirs in zip(weight.shape, original.shape, strict=True)):
            weight.copy_(original[tuple(slice(side) for side in weight.shape)])


def _counterpart(name: str, larger: Mapping[str, Any], smaller: Mapping[str, Any]) -> str:
    """The name in the larger network: the outermost decoder blocks stay, and the last layer of each stays the last."""
    matched = re.match(r"up_blocks\.(\d+)\.(.*)", name)
    if matched is None:
        return name
    block = f"up_blocks.{int(matched[1]) + _last('up_blocks.', larger) - _last('up_blocks.', smaller)}."
    layer = re.match(r"(resnets\.|attentions\.)(\d+)(\..*)", matched[2])
    if layer is None:
        return block + matched[2]
    kind, index, rest = layer[1], int(layer[2]), layer[3]
    last, last_larger = _last(f"up_blocks.{matched[1]}.{kind}", smaller), _last(block + kind, larger)
    return f"{block}{kind}{last_larger if index == last and index > 0 else index}{rest}"


def _last(front: str, weights: Mapping[str, Any]) -> int:
    return max((int(name[len(front) :].split(".")[0]) for name in weights if name.startswith(front)), default=0)
