"""Converted networks on disk, `config.json` and `model.safetensors`, and the door for foreign files; knows no network.

Foreign `.pth` files enter here alone, by torch's reader that takes tensors and nothing else.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from base.errors import BadInput
from base.files import atomic_file
from base.pointers import refuse_pointer
from base.safetensors_head import check_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def foreign(file: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth` state dict, of any shape. BadInput: no such file, or more in it than tensors."""
    refuse_pointer(file)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of torch's own older layouts
            tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise BadInput(f"{file} is no state dict of torch, or holds more than tensors") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise BadInput(f"{file} holds no state dict: names with a tensor each")
    return dict(tensors)


def fitting(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    """The `expected` tensors by name, of their shapes, in float32.

    BadInput names the first that is missing or of another shape.
    """
    for name, like in expected.items():
        if name not in tensors:
            raise BadInput(f"{where} has no tensor {name}")
        if tensors[name].shape != like.shape:
            raise BadInput(f"{where}: {name} is {tuple(tensors[name].shape)}, wanted {tuple(like.shape)}")
    return {name: tensors[name].float().contiguous() for name in expected}


def write(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write configuration and tensors of any shape, each file atomically. BadInput: another model is there already."""
    if (folder / CONFIG).exists() or (folder / WEIGHTS).exists():
        raise BadInput(f"{folder} holds a model already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / CONFIG) as text, atomic_file(folder / WEIGHTS) as weights:
        save_file(dict(tensors), weights)
        text.write_text(json.dumps(dict(config), indent=1) + "\n")


def kind(folder: Path) -> str | None:
    """Which network `write` wrote there; None where it is none of these."""
    try:
        config = json.loads((folder / CONFIG).read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return str(config["kind"]) if isinstance(config, dict) and "kind" in config else None


def read(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration, and the tensors of any shape, that `write` wrote with `{"kind": kind}`.

    BadInput: it is not there, or damaged.
    """
    try:
        check_folder(folder)
        config, tensors = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise BadInput(f"{folder} holds no {kind}: it needs {CONFIG} and {WEIGHTS} (`ippo convert {kind}`)") from error
    except (SafetensorError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{folder} holds a damaged {kind}: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict) or config.get("kind") != kind:
        raise BadInput(f"{folder} holds no {kind}: its {CONFIG} says otherwise")
    return config, tensors
