"""An adapter (LoRA, arXiv 2106.09685) as its trainer left it, read under any names and added to weights; it trains nothing.

Read are peft's folders and files, diffusers' in all its layouts since 0.12, kohya's for Stable Diffusion and for SDXL under
its own names, and LyCORIS' plain ones. What would not be applied in full is refused.
Shapes: `r` rank, `O` outputs, `I` inputs, `k` side of a convolution.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from base.errors import BadInput
from base.safetensors_head import SUFFIX, read_head
from models.lora_names import is_plain, kind_of, modules, place
from models.tensor_names import listed

DIFFUSERS, PEFT = "pytorch_lora_weights.safetensors", "adapter_model.safetensors"
"""Of diffusers and of peft, in a folder."""
PEFT_CONFIG = "adapter_config.json"
METADATA = "lora_adapter_metadata"
"""Where diffusers writes ranks and alphas into the file's head."""

_CHANGES_BASE = ("pissa", "olora", "loftq", "corda")
"""Ways in which peft starts an adapter that change the base's own weights."""


@dataclass(frozen=True)
class LoraLayer:
    """One adapted layer: `W + scale·up·down` (equation 3)."""

    down: Tensor
    """`(r, I)` or `(r, I, k, k)`."""
    up: Tensor
    """`(O, r)` or `(O, r, 1, 1)`."""
    scale: float
    """alpha ÷ r."""

    @property
    def rank(self) -> int:
        """r."""
        return self.down.shape[0]

    @property
    def alpha(self) -> float:
        """What the update counts, times r."""
        return self.scale * self.rank


@dataclass(frozen=True)
class LoraFile:
    """An adapter whose every layer is one of the networks that it was read for."""

    file: Path
    parts: Mapping[str, Mapping[str, LoraLayer]]
    """Part (`unet`, `text_encoder`, `text_encoder_2`) → module → its layer."""


def denoiser_part(denoiser: nn.Module) -> str:
    """What adapters call a denoiser: `unet` or `transformer`."""
    return "unet" if hasattr(denoiser, "down_blocks") else "transformer"


def read(path: Path, networks: Mapping[str, nn.Module]) -> LoraFile:
    """Read the adapter in a folder or file for `networks`, by part, the denoiser first.

    BadInput, with counts: there is none; it adapts other parts or layers than these; layers of other widths; halves of a
    pair; anything but plain LoRA.
    """
    file = _file(path)
    head = read_head(file)
    stored: dict[tuple[str, str], dict[str, Tensor]] = {}
    odd = [name for name in head.shapes if not is_plain(name)]
    if odd or not len(head):
        what = f"{len(odd)} of {len(head)} tensors are {kind_of(odd[0])} ({listed(odd)})" if odd else "it is empty"
        raise BadInput(f"{file} is no plain LoRA: {what}; accepted: two matrices a layer")
    for name, value in load_file(file).items():
        part, layer, side = place(name, next(iter(networks)))
        tensors = stored.setdefault((part, layer), {})
        if side in tensors:
            raise BadInput(f"{file} adapts {layer} twice, under two names")
        tensors[side] = value
    _check_parts(file, list(stored), networks)
    layers = _resolved(file, stored, networks)
    return LoraFile(file, _scaled(file, layers, _alphas(file, head.metadata)))


@torch.no_grad()
def fuse(networks: Mapping[str, nn.Module], adapter: LoraFile) -> None:
    """Add every layer to the weights of its module, in place."""
    for part, layers in adapter.parts.items():
        for name, layer in layers.items():
            weight: Any = networks[part].get_submodule(name).weight
            update = layer.scale * (layer.up.flatten(1).float() @ layer.down.flatten(1).float())
            weight += update.reshape(weight.shape).to(weight)


def _file(path: Path) -> Path:
    if path.is_dir():
        if file := next((path / name for name in (DIFFUSERS, PEFT) if (path / name).is_file()), None):
            return file
        others = [file.name for file in sorted(path.glob("*")) if file.suffix in (".bin", ".pt", ".ckpt")]
        hint = f"; {others[0]} can hold code and is not read" if others else ""
        raise BadInput(f"no adapter in {path}: it has neither {DIFFUSERS} nor {PEFT}{hint}")
    if path.suffix != SUFFIX or not (path.is_file() or path.is_symlink()):
        raise BadInput(f"no adapter {path}; accepted: a {SUFFIX} file, or a folder with {DIFFUSERS} or {PEFT}")
    return path


def _check_parts(file: Path, keys: list[tuple[str, str]], networks: Mapping[str, nn.Module]) -> None:
    if others := [(part, layer) for part, layer in keys if part not in networks]:
        parts = ", ".join(sorted({part for part, _ in others}))
        raise BadInput(
            f"{file} adapts {parts} too ({len(others)} of {len(keys)} layers, such as {others[0][1]}), which stays as it is "
            f"here; accepted: adapters of {', '.join(networks)}"
        )


def _resolved(
    file: Path, stored: Mapping[tuple[str, str], Mapping[str, Tensor]], networks: Mapping[str, nn.Module]
) -> dict[tuple[str, str], Mapping[str, Tensor]]:
    """(part, module) → its tensors by side, each checked against the module's weight."""
    known = {part: modules(part, networks[part]) for part in {part for part, _ in stored}}
    found = {key: known[key[0]].get(key[1]) for key in stored}
    if lost := [layer for (_, layer), name in found.items() if name is None]:
        raise BadInput(
            f"{file} belongs to another base: {len(lost)} of {len(stored)} layers are not in this one: {listed(lost)}"
        )
    if halves := [layer for (_, layer), tensors in stored.items() if not {"down", "up"} <= tensors.keys()]:
        raise BadInput(f"{file}: {len(halves)} of {len(stored)} layers lack one of their matrices: {listed(halves)}")
    resolved = {(part, str(found[part, layer])): tensors for (part, layer), tensors in stored.items()}
    if len(resolved) < len(stored):
        twice = [name for (_, name) in resolved if list(found.values()).count(name) > 1]
        raise BadInput(f"{file} adapts {listed(twice)} twice, under two names")
    wide = [(key, said) for key, tensors in resolved.items() if (said := _misfit(networks[key[0]], key[1], tensors))]
    if wide:
        (_, name), said = wide[0]
        raise BadInput(f"{file} belongs to another base: {name} is {said} ({len(wide)} of {len(stored)} layers)")
    return resolved


def _misfit(network: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> str:
    """Why a layer's matrices do not fit its module; empty: they do."""
    weight: Any = network.get_submodule(name).weight
    down, up = tensors["down"], tensors["up"]
    there, here = [up.shape[0], down[0].numel()], [weight.shape[0], weight[0].numel()]
    if there != here:
        return f"{there[0]}×{there[1]} there and {here[0]}×{here[1]} here"
    return "" if up[0].numel() == down.shape[0] else f"of rank {down.shape[0]} and {up[0].numel()} at once"


Scale = Callable[[str, str, int], float]
"""(part, module, r) → alpha ÷ r, where the tensors do not say it."""


def _scaled(
    file: Path, layers: Mapping[tuple[str, str], Mapping[str, Tensor]], scale: Scale
) -> dict[str, dict[str, LoraLayer]]:
    parts: dict[str, dict[str, LoraLayer]] = {}
    for (part, name), tensors in layers.items():
        rank = tensors["down"].shape[0]
        own = float(tensors["alpha"]) / rank if "alpha" in tensors else scale(part, name, rank)
        if not math.isfinite(own):
            raise BadInput(f"{file}: the alpha of {name} is {own * rank}")
        parts.setdefault(part, {})[name] = LoraLayer(tensors["down"], tensors["up"], own)
    return parts


def _alphas(file: Path, metadata: Mapping[str, str]) -> Scale:
    """By peft's configuration in the same folder, or diffusers' in the file's head; else the update counts once."""
    configurations: dict[str, Mapping[str, Any]] = {}
    try:
        if file.name == PEFT and (said := file.with_name(PEFT_CONFIG)).is_file():
            configurations[""] = json.loads(said.read_text())
        for key, value in json.loads(metadata.get(METADATA, "{}")).items():
            part, _, word = key.partition(".")
            configurations[part] = {**configurations.get(part, {}), word: value}
    except ValueError as error:
        raise BadInput(f"{file}: its configuration is not JSON: {error}") from None
    for configuration in configurations.values():
        _check_peft(file, configuration)

    def scale(part: str, name: str, rank: int) -> float:
        said = configurations.get(part, configurations.get("", {}))
        patterns = said.get("alpha_pattern") or {}
        own = next((value for key, value in patterns.items() if re.search(rf"(^|\.)({key})$", name)), None)
        alpha = float(said.get("lora_alpha") or rank) if own is None else float(own)
        return alpha / (math.sqrt(rank) if said.get("use_rslora") else rank)

    return scale


def _check_peft(file: Path, said: Mapping[str, Any]) -> None:
    start = str(said.get("init_lora_weights", ""))
    if (kind := said.get("peft_type", "LORA")) != "LORA" or said.get("use_dora"):
        raise BadInput(f"{file} is no plain LoRA: peft calls it {'DoRA' if said.get('use_dora') else kind}")
    if start.startswith(_CHANGES_BASE):
        raise BadInput(
            f"{file} was started by {start}, which changes the base's own weights: it does not fit the base as it is"
        )
