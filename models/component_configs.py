"""What the JSON of a diffusers folder says: its index, its components' configurations, its schedulers; it reads no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
from diffusers import DiffusionPipeline

from base.errors import BadInput


def index(folder: Path) -> dict[str, Any]:
    """The folder's `model_index.json`. BadInput: it is missing or no JSON."""
    return read(folder, DiffusionPipeline.config_name)


def config(folder: Path, component: str) -> dict[str, Any]:
    """The configuration of a component. BadInput: it is missing or no JSON."""
    return read(folder, f"{component}/config.json")


def scheduler(folder: Path, component: str = "scheduler") -> dict[str, Any]:
    """A scheduler of a folder as diffusers makes it, `_class_name` and defaults included.

    BadInput: there is none, or diffusers has no such class.
    """
    stored = read(folder, f"{component}/scheduler_config.json")
    name = str(stored.get("_class_name"))
    kind = getattr(diffusers, name, None)
    if kind is None or not hasattr(kind, "from_config"):
        raise BadInput(f"{folder}: its scheduler {name} is none that diffusers has")
    return {**kind.from_config(stored).config, "_class_name": name}


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in a file of the folder. BadInput: it is missing or no such thing."""
    file = folder / name
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        raise BadInput(f"{folder} is incomplete: it has no {name}") from None
    except ValueError as error:
        raise BadInput(f"{file} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{file} is no JSON object")
    return content
