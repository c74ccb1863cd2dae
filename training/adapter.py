"""A LoRA that is there already, of peft, diffusers or kohya, to go on from; it knows nothing about what it learns next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import convert_unet_state_dict_to_peft
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from base.errors import BadInput

FILES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
"""Of diffusers and of peft, in a folder."""

_RANKS = {"lora_A.weight": 0, "lora_B.weight": 1}
"""Which side of each matrix is the rank; all others are the base's."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA as it was stored."""

    file: Path
    weights: Mapping[str, Tensor]
    """`LAYER.lora_A.weight` (r, in, …) and `LAYER.lora_B.weight` (out, r, …)."""
    alpha: float | None
    """The update counts `alpha / rank` times; none: once."""


def read(name: str, unet: Any) -> Adapter:
    """Read the adapter in a folder or a `.safetensors` file; `unet`: the configuration of the base's, as diffusers holds it.

    BadInput: there is none, or it adapts more than a denoiser.
    """
    file = _file(Path(name))
    try:
        with safe_open(file, "pt") as opened:
            stored = {key.removeprefix("base_model.model."): opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            metadata = opened.metadata() or {}
        converted, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(stored, unet_config=unet)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadInput(f"{file} is no adapter that can be read: {str(error).splitlines()[0]:.200}") from error
    if text := [key for key in converted if key.startswith("text_encoder")]:
        raise BadInput(
            f"{file} adapts the text encoder too ({text[0]}), and that stays as it is; accepted: of a UNet alone"
        )
    weights = {key.removeprefix("unet."): value for key, value in convert_unet_state_dict_to_peft(converted).items()}
    if odd := [key for key in weights if not key.endswith(tuple(_RANKS))]:
        raise BadInput(f"{file} is no plain LoRA: it has {odd[0]}; accepted: lora_A and lora_B of every layer")
    return Adapter(file, weights, _alpha(file, alphas or {}, metadata))


@torch.no_grad()
def go_on(network: nn.Module, adapter: Adapter, rank: int, alpha: float) -> None:
    """Put its weights into the fresh adapter of `network`. BadInput: of another base, other layers, rank or alpha."""
    ours, layers = dict(network.named_parameters()), {name for name, _ in network.named_modules()}
    for key, value in adapter.weights.items():
        layer, kind = key[: -len(".lora_A.weight")], key[-len("lora_A.weight") :]
        if layer not in layers:
            raise BadInput(f"lora.start: {adapter.file} belongs to another base: this one has no {layer}")
        weight = ours.get(key.removesuffix(".weight") + ".default.weight")
        if weight is None:
            raise BadInput(f"lora.start: {adapter.file} adapts {layer} too, which lora.targets do not name")
        if _without(weight, kind) != _without(value, kind):
            raise BadInput(
                f"lora.start: {adapter.file} belongs to another base: {layer} is {_without(value, kind)} wide there and "
                f"{_without(weight, kind)} here"
            )
        if value.shape[_RANKS[kind]] != rank:
            raise BadInput(f"lora.start: {adapter.file} is of rank {value.shape[_RANKS[kind]]}: set lora.rank to that")
        weight.copy_(value)
    if (stored := adapter.alpha or rank) != alpha:
        raise BadInput(f"lora.start: {adapter.file} counts with alpha {stored:g}: set lora.alpha to that")


def _file(path: Path) -> Path:
    if path.is_file() and path.suffix == ".safetensors":
        return path
    if file := next((path / name for name in FILES if (path / name).is_file()), None):
        return file
    raise BadInput(
        f"lora.start: no adapter in {path}; accepted: a .safetensors file, or a folder with {' or '.join(FILES)}"
    )


def _alpha(file: Path, of_layers: Mapping[str, Any], metadata: Mapping[str, str]) -> float | None:
    """Of kohya's files (one a layer), of peft's configuration in the same folder, or of diffusers' inside the file."""
    configuration = file.with_name("adapter_config.json")
    known = {float(value) for value in of_layers.values()}
    if not known and configuration.is_file():
        known = {float(json.loads(configuration.read_text())["lora_alpha"])}
    for key, value in json.loads(metadata.get("lora_adapter_metadata", "{}")).items():
        known |= {float(value)} if key.endswith("lora_alpha") else set()
    if len(known) > 1:
        raise BadInput(f"lora.start: {file} counts every layer with an alpha of its own; accepted: one for all")
    return known.pop() if known else None


def _without(weight: Tensor, kind: str) -> list[int]:
    """The sides that are the base's."""
    return [size for side, size in enumerate(weight.shape) if side != _RANKS[kind]]
