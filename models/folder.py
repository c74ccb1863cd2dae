"""Open and save pipelines as diffusers folders; it knows no family: the folder's own class name says which file does."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from pathlib import Path
from types import ModuleType

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging

from models.errors import BadInput
from models.pipeline import Pipeline

diffusers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # our own bars are the ones that matter


def load(name: str | Path) -> Pipeline:
    """Open a local diffusers folder or a Hub name; `StableDiffusionPipeline` is `models/stable_diffusion.py`."""
    try:
        config = DiffusionPipeline.load_config(str(name))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{name} is neither a diffusers folder (no model_index.json) nor a reachable Hub name"
        ) from error
    return _family(str(config["_class_name"])).load(str(name))  # type: ignore[no-any-return]


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write `folder` atomically: beside it first, then renamed over an older one."""
    beside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.parent.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(type(pipeline.conditioner).__module__)
    module.save(pipeline, beside, dtype)
    replace_folder(beside, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Put `new` where `folder` is; an old folder steps aside first, so that a kill leaves one of the two."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _family(class_name: str) -> ModuleType:
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name.removesuffix("Pipeline")).lower()
    try:
        return importlib.import_module(f"models.{stem}")
    except ModuleNotFoundError as error:
        if error.name != f"models.{stem}":
            raise
        families = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
        raise BadInput(
            f"no family for {class_name}: there is no models/{stem}.py (models/ holds {families})"
        ) from error
