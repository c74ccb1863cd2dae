"""An adapter written as diffusers and as kohya's scripts write it, for the programs that read those; it trains nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from base.errors import BadInput
from base.files import atomic_file
from base.safetensors_head import SUFFIX
from models.folder import original_layout
from models.lora_file import DIFFUSERS, METADATA, LoraFile, denoiser_part, read
from models.original_names import renamed, unet_modules
from models.pipeline import Pipeline
from models.save_single_file import metadata


def save(
    pipeline: Pipeline, run: Path, kind: Literal["diffusers", "kohya"], out: Path, title: str, dtype: torch.dtype
) -> None:
    """The adapter that lies beside the `pipeline` of a run, as diffusers' folder or kohya's file `out`.

    BadInput: the run learnt none, or it is none of this pipeline.
    """
    if not (run / DIFFUSERS).is_file():
        raise BadInput(f"{title} holds no adapter ({run / DIFFUSERS}): train it with lora={{rank: 16}}")
    networks = {denoiser_part(pipeline.denoiser): pipeline.denoiser, **dict(pipeline.conditioner.named_children())}
    adapter = read(run, networks)
    if kind == "diffusers":
        diffusers(adapter, out / DIFFUSERS, dtype)
        return
    if out.suffix != SUFFIX:
        raise BadInput(f"kohya's file ends in {SUFFIX}, got {out.name}")
    layout = original_layout(pipeline)
    said = metadata(pipeline, layout, Path(title).name, "/lora")
    kohya(adapter, networks, out, {**said, "ss_base_model_version": layout.kohya}, dtype)


def diffusers(adapter: LoraFile, file: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write what `load_lora_weights` of diffusers reads: names of modules, ranks and alphas in the file's head."""
    weights: dict[str, Tensor] = {}
    said: dict[str, Any] = {}
    for part, layers in adapter.parts.items():
        first = next(iter(layers.values()))
        said |= {f"{part}.r": first.rank, f"{part}.lora_alpha": first.alpha, f"{part}.target_modules": [*layers]}
        said[f"{part}.rank_pattern"] = {name: one.rank for name, one in layers.items() if one.rank != first.rank}
        said[f"{part}.alpha_pattern"] = {name: one.alpha for name, one in layers.items() if one.alpha != first.alpha}
        for name, layer in layers.items():
            weights[f"{part}.{name}.lora_A.weight"] = layer.down
            weights[f"{part}.{name}.lora_B.weight"] = layer.up
    _write(weights, file, dtype, {METADATA: json.dumps(said)})


def kohya(
    adapter: LoraFile, networks: Mapping[str, nn.Module], file: Path, metadata: Mapping[str, str], dtype: torch.dtype
) -> None:
    """Write what ComfyUI, Automatic1111, Forge and stable-diffusion.cpp read: kohya's names, and an alpha a layer.

    An SDXL's UNet (`networks`: by part) goes under its original names, as kohya's trainer for it has them. BadInput: the
    adapter holds more than the UNet's part.
    """
    if others := sorted(adapter.parts.keys() - {"unet"}):
        raise BadInput(f"{adapter.file} adapts {', '.join(others)} too; accepted: an adapter of the UNet alone")
    unet: Any = networks["unet"]
    original = unet_modules(unet) if unet.config.get("addition_embed_type") == "text_time" else {}
    weights: dict[str, Tensor] = {}
    for name, layer in adapter.parts["unet"].items():
        key = "lora_unet_" + (renamed(name, original) or name).replace(".", "_")
        weights |= {f"{key}.lora_down.weight": layer.down, f"{key}.lora_up.weight": layer.up}
        weights[f"{key}.alpha"] = torch.tensor(layer.alpha)
    ranks, alphas = ({getattr(one, word) for one in adapter.parts["unet"].values()} for word in ("rank", "alpha"))
    said = {"ss_network_module": "networks.lora", "ss_network_dim": str(max(ranks))}
    _write(weights, file, dtype, {**metadata, **said, "ss_network_alpha": f"{max(alphas):g}"})


def _write(weights: Mapping[str, Tensor], file: Path, dtype: torch.dtype, metadata: Mapping[str, str]) -> None:
    stored = {name: value.to(dtype).contiguous() for name, value in weights.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as hidden:
        save_file(stored, hidden, metadata={"format": "pt", **metadata})
