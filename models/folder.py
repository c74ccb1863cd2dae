"""Open and save pipelines as diffusers folders; it knows no family: the folder's own class name says which file does."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging

from base.config import Config, nearest
from base.errors import BadInput
from models import single_file
from models.pipeline import Pipeline

diffusers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # our own bars are the ones that matter


def load(name: str | Path) -> Pipeline:
    """Open a diffusers folder, a Hub name or one file; `StableDiffusionPipeline` is `models/stable_diffusion.py`."""
    where = str(single_file.configuration(Path(name)) if single_file.is_one(name) else name)
    try:
        config = DiffusionPipeline.load_config(where)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{name} is neither a diffusers folder (no model_index.json), nor a .safetensors file, nor a reachable Hub name"
        ) from error
    kind = str(config["_class_name"]).removesuffix("Pipeline").removesuffix("Img2Img")
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    return _family(stem).load(str(name))  # type: ignore[no-any-return]


def parts(values: Mapping[str, Any]) -> Config:
    """What a pipeline from scratch is made of: `family` names a file in `models/`, the rest is its `Parts`."""
    family = str(values.get("family", "stable_diffusion"))
    if not hasattr(found := _family(family), "Parts"):
        raise BadInput(f"{family}: give the folder or Hub name of an existing base; none is made from scratch")
    return found.Parts.parse({**values, "family": family}, family)  # type: ignore[no-any-return]


def build(made_of: Config, find: Callable[[str], Path]) -> Pipeline:
    """A pipeline from such parts; `find` turns the name of a run into the folder of what it trained."""
    return importlib.import_module(type(made_of).__module__).build(made_of, find)  # type: ignore[no-any-return]


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write `folder` atomically: beside it first, then renamed over an older one."""
    beside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.parent.mkdir(parents=True, exist_ok=True)
    _family_of(pipeline).save(pipeline, beside, dtype)
    for file in beside.glob("*/config.json"):  # where the weights were opened from is nobody's business
        config = json.loads(file.read_text())
        config.pop("_name_or_path", None)
        file.write_text(json.dumps(config, indent=2) + "\n")
    replace_folder(beside, folder)


def weights(pipeline: Pipeline) -> dict[str, str]:
    """Part (conditioner, denoiser, autoencoder) → its safetensors file inside a saved folder, where it has weights."""
    return dict(_family_of(pipeline).WEIGHTS)


def weight_files(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """The same where a part's weights may lie in several files."""
    several: dict[str, tuple[str, ...]] = getattr(_family_of(pipeline), "SEVERAL", {})
    return {part: (file,) for part, file in weights(pipeline).items()} | several


def replace_folder(new: Path, folder: Path) -> None:
    """Put `new` where `folder` is; an old folder steps aside first, so that a kill leaves one of the two."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _family_of(pipeline: Pipeline) -> ModuleType:
    return importlib.import_module(type(pipeline.conditioner).__module__)


def _family(stem: str) -> ModuleType:
    files = [path.stem for path in Path(__file__).parent.glob("*.py")]
    module = importlib.import_module(f"models.{stem}") if stem in files else None
    if not hasattr(module, "WEIGHTS"):
        raise BadInput(f"no family '{stem}': a family is a file in models/{nearest(stem, files)}")
    return cast(ModuleType, module)
