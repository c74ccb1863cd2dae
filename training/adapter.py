"""A LoRA that is there already, to go on from, and the one that was learnt, on disk; it knows nothing about what it learns.

How adapters are named and read is `models/lora_file.py`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from base.errors import BadInput
from models import lora_file, save_lora
from models.lora_file import LoraFile, LoraLayer


def read(name: str, denoiser: nn.Module) -> LoraFile:
    """The adapter in a folder or file, for this denoiser. BadInput: none, or it would not be taken in full."""
    try:
        return lora_file.read(Path(name), {lora_file.denoiser_part(denoiser): denoiser})
    except BadInput as error:
        raise BadInput(f"lora.start: {error}") from None


@torch.no_grad()
def go_on(network: nn.Module, adapter: LoraFile, rank: int, alpha: float) -> None:
    """Put its weights into the fresh adapter of `network`. BadInput: of other layers, rank or alpha."""
    ours: Any = dict(network.named_modules())
    for name, layer in next(iter(adapter.parts.values())).items():
        module = ours[name]
        if not hasattr(module, "lora_A"):
            raise BadInput(f"lora.start: {adapter.file} adapts {name} too, which lora.targets do not name")
        if layer.rank != rank:
            raise BadInput(f"lora.start: {adapter.file} is of rank {layer.rank}: set lora.rank to that")
        if abs(layer.alpha - alpha) > 1e-4 * alpha:
            raise BadInput(f"lora.start: {adapter.file} counts with alpha {layer.alpha:g}: set lora.alpha to that")
        for side, value in ((module.lora_A, layer.down), (module.lora_B, layer.up)):
            weight = side["default"].weight
            weight.copy_(value.reshape(weight.shape))


def learnt(network: nn.Module) -> dict[str, LoraLayer]:
    """Module → the layer that the adapter of `network` holds for it."""
    modules: Any = [(name, module) for name, module in network.named_modules() if hasattr(module, "lora_A")]
    return {
        name: LoraLayer(
            module.lora_A["default"].weight.detach().cpu(),
            module.lora_B["default"].weight.detach().cpu(),
            float(module.scaling["default"]),
        )
        for name, module in modules
    }


def save(network: nn.Module, folder: Path) -> None:
    """The adapter of `network`, if it has one, into `folder` beside what it was merged into, as diffusers names it."""
    if layers := learnt(network):
        file = folder / lora_file.DIFFUSERS
        save_lora.diffusers(LoraFile(file, {lora_file.denoiser_part(network): layers}), file)
