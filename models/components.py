"""What a base holds, read from file names, JSON and heads of safetensors before anything loads.

A base is a diffusers folder, what the Hub has under a name, or one file, which is Stable Diffusion's own format
(`models/stable_diffusion_file.py`). It knows nothing else about any family.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import safe_open

from base.errors import BadInput
from models import stable_diffusion_file

VARIANT = "fp16"
"""The one that is taken where there are no weights in full precision."""

NETWORK = "diffusion_pytorch_model"
TEXT = "model"


def local(name: str) -> Path:
    """A folder as it is, the configuration of a base in one file, or what the Hub has under that name, safetensors only."""
    if Path(name).is_dir():
        return Path(name)
    if stable_diffusion_file.is_single_file(name):
        return stable_diffusion_file.configuration(Path(name))
    try:
        return Path(DiffusionPipeline.download(name, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise BadInput(f"{name} cannot be had from the Hub as safetensors: {first}") from error


def read(kind: type[DiffusionPipeline], name: str, folder: Path, weights: Mapping[str, str], **how: Any) -> Any:
    """A stock pipeline from what `local` gave, in float32; `weights` as `variant` takes them.

    BadInput: one file whose weights are not those of its configuration.
    """
    if not stable_diffusion_file.is_single_file(name):
        chosen = variant(folder, weights)
        return kind.from_pretrained(folder, variant=chosen, torch_dtype=torch.float32, **how)
    odd = f"{name} does not fit its configuration in {folder}"
    try:
        return kind.from_single_file(name, config=str(folder), local_files_only=True, torch_dtype=torch.float32, **how)
    except NotImplementedError as error:  # what diffusers found no weights for has stayed without memory
        raise BadInput(f"{odd}: some weights are missing") from error
    except (ValueError, KeyError, SingleFileComponentError) as error:
        raise BadInput(f"{odd}: {str(error).strip().splitlines()[0]:.200}") from error


def sizes(name: str) -> dict[str, int]:
    """Component → how many numbers its weights hold, of a folder, a Hub name or one file, read from their heads."""
    folder = local(name)
    if stable_diffusion_file.is_single_file(name):
        return stable_diffusion_file.sizes(Path(name))
    return {component.name: _size(component) for component in sorted(folder.iterdir()) if component.is_dir()}


def config(folder: Path, component: str) -> dict[str, Any]:
    """The configuration of a component. BadInput: it is missing or no JSON."""
    file = folder / component / "config.json"
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise BadInput(f"{folder} is incomplete: it has no {component}/{file.name}") from None
    except ValueError as error:
        raise BadInput(f"{file} is not JSON: {error}") from None


def variant(folder: Path, weights: Mapping[str, str]) -> str | None:
    """Which variant to open: none where every component has weights in full precision.

    `weights`: component → the stem of its file. BadInput: one that has no safetensors at all.
    """
    variants: set[str] = set()
    for component, stem in weights.items():
        kinds = {
            kind
            for kind in ("", f".{VARIANT}")
            if any((folder / component / f"{stem}{end}").is_file() for end in _endings(kind))
        }
        if not kinds:
            foreign = [
                path.name for path in sorted((folder / component).glob("*")) if path.suffix in (".bin", ".ckpt", ".pt")
            ]
            hint = f"; {foreign[0]} can hold code and is not read: save it as safetensors" if foreign else ""
            raise BadInput(f"{folder} is incomplete: it has no {component}/{stem}.safetensors{hint}")
        variants.add("" if "" in kinds else VARIANT)
    return VARIANT if VARIANT in variants else None


def tokenizer(folder: Path, component: str) -> None:
    """BadInput: the tokenizer's files are missing."""
    if not any((folder / component / name).is_file() for name in ("vocab.json", "tokenizer.json")):
        raise BadInput(f"{folder} is incomplete: it has no {component}/vocab.json")


def _size(folder: Path) -> int:
    count = 0
    plain = [file for file in folder.glob("*.safetensors") if f".{VARIANT}." not in file.name]
    for file in plain or folder.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            count += sum(prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    return count


def _endings(kind: str) -> tuple[str, str]:
    index = f".safetensors.index{kind}.json"
    return f"{kind}.safetensors", index
