"""The components of a diffusers folder, written one by one where no stock pipeline writes them all; it knows no family."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
from diffusers import DiffusionPipeline
from torch import nn


def network(network: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Write a network of diffusers or transformers, its weights in `dtype`."""
    cast(Any, copy.deepcopy(network)).to("cpu", dtype).save_pretrained(folder)


def scheduler(config: Mapping[str, Any], folder: Path) -> list[str]:
    """Write a noise schedule; returns its entry in the index."""
    written = getattr(diffusers, config["_class_name"]).from_config(config)
    written.save_pretrained(folder)
    return ["diffusers", type(written).__name__]


def entry(network: nn.Module) -> list[str]:
    """Library and class of a network in the index; of one that no library has, its module."""
    module = type(network).__module__
    library = module.partition(".")[0] if module.startswith(("diffusers", "transformers")) else module
    return [library, type(network).__name__]


def index(folder: Path, pipeline: str, components: Mapping[str, Any]) -> None:
    """Write `model_index.json`: the pipeline's class and its components' entries, in alphabetical order."""
    content = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, **components}
    (folder / DiffusionPipeline.config_name).write_text(json.dumps(dict(sorted(content.items())), indent=2) + "\n")
