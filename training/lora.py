"""Low-rank adapters over a denoiser that stays as it is (LoRA, arXiv 2106.09685); it knows nothing about what they learn."""

from __future__ import annotations

import copy
from typing import Any

import torch
from pydantic import Field
from torch import nn

from base.config import Config
from base.errors import BadInput
from training import adapter

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
OWN_NETWORK = "a lora student is the teacher's own network: it can neither be reduced or healed nor start elsewhere"
"""Why a student's adapter goes with no other beginning."""


class LoraConfig(Config):
    """An adapter."""

    rank: int = Field(default=16, ge=1)
    """Rank of the two matrices that are learnt for every one that stays."""
    alpha: float | None = None
    """The update counts `alpha / rank` times; none: once."""
    targets: list[str] = ATTENTION
    """How the names of adapted layers end: `ff.net.2`, `proj_in`, `conv1` and others may join attention's."""
    start: str | None = None
    """An adapter to go on from: a folder or file of peft, diffusers or kohya, of this very rank, alpha and targets."""


def adapted(denoiser: nn.Module, config: LoraConfig) -> nn.Module:
    """A network of the very weights of `denoiser`, in the same memory and frozen, and an adapter that alone learns, in f32.

    So `denoiser` is what the adapted network is with its adapter off, however long it learns. BadInput: no such
    layers, or the adapter to start from is of another base.
    """
    start = None if config.start is None else adapter.read(config.start, denoiser)
    shared: dict[int, Any] = {id(weight): weight for weight in (*denoiser.parameters(), *denoiser.buffers())}
    network: Any = copy.deepcopy(denoiser, shared).requires_grad_(False)
    try:
        import peft

        network.add_adapter(
            peft.LoraConfig(r=config.rank, lora_alpha=config.alpha or config.rank, target_modules=config.targets)
        )
    except ValueError as error:
        raise BadInput(f"lora: {str(error).splitlines()[0][:200]}") from error
    for weight in network.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    if start is not None:
        adapter.go_on(network, start, config.rank, config.alpha or config.rank)
    return network


@torch.no_grad()
def merged(denoiser: nn.Module) -> nn.Module:
    """The same function without an adapter: its update is added to a copy of the weights, in f32."""
    if not getattr(denoiser, "peft_config", None):
        return denoiser
    network: Any = copy.deepcopy(denoiser).float()
    network.fuse_lora(safe_fusing=True)
    network.unload_lora()
    return network
