"""Open, make and save pipelines as diffusers folders; it knows no family: the folder's class name says which file does."""

from __future__ import annotations

import importlib
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import HfApi

from base.config import Config, nearest
from base.errors import BadInput
from base.files import atomic_folder, check_replaceable
from models import bases, component_configs, stable_diffusion_file
from models import save_single_file as single_file
from models.pipeline import Pipeline
from models.scheduler_configs import check_student, is_few_step, student_scheduler

SHAPES = "latent_shapes.json"
"""Of a pipeline that learnt pictures of several shapes: those of its latents, the one that it draws by default first."""
_HUB_SECONDS = 10.0
"""How long the Hub is waited for."""

diffusers_logging.disable_progress_bar()  # our own bars are the ones that matter


def load(name: str | Path, task: str | None = None) -> Pipeline:
    """Open a diffusers folder, a Hub name or one file; `StableDiffusionPipeline` is `models/stable_diffusion.py`.

    `task` chooses one of several flows in a folder; none: its first. BadInput: there is no such thing or flow, or no family
    of `models/` knows it.
    """
    pipeline: Pipeline = _with_shapes(_family_at(name).load(str(name)), Path(name) / SHAPES)
    return pipeline if task is None else pipeline.flow(task)


def check(name: str | Path) -> None:
    """BadInput: what `load` would refuse, as far as it can be known before anything loads."""
    family = _family_at(name)
    if hasattr(family, "check"):
        family.check(str(name))


def class_name(name: str | Path) -> str:
    """The pipeline's class, as the `model_index.json` of a folder, a Hub name or one file names it. BadInput: none does."""
    single = stable_diffusion_file.is_single_file(name)
    where = str(stable_diffusion_file.configuration(Path(name)) if single else name)
    try:
        here_alone = not Path(where).exists() and not on_hub(where)
        with warnings.catch_warnings(action="ignore"):  # of diffusers' own use of the Hub's library
            return str(DiffusionPipeline.load_config(where, local_files_only=here_alone)["_class_name"])
    except (KeyError, TypeError):
        raise BadInput(f"{name}/{DiffusionPipeline.config_name} names no pipeline: it has no _class_name") from None
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{name} is neither a run, nor a diffusers folder (no model_index.json), nor a .safetensors file, nor a reachable "
            "Hub name"
        ) from error


def task_at(folder: Path) -> str:
    """The task of a diffusers folder, of several flows the first's; no weights are read. BadInput: as `load`."""
    family = _family_at(folder)
    return str(family.task_at(folder) if hasattr(family, "task_at") else family.TASK)


def on_hub(name: str) -> bool:
    """Whether the Hub has it; asked once, where opening it would try again and again before it says so."""
    try:
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except Exception:  # the library and its transports share no narrower class
        return False
    return True


def as_student(pipeline: Pipeline, where: str | Path, name: str) -> Pipeline:
    """What can be exported: a student as it is, and a published one-step model (SD-Turbo) under a student's scheduler.

    Of several flows it is the first that is a student. `where` it was opened from, and what the user calls it. BadInput: a
    teacher; its own scheduler is named.
    """
    if student := next((flow for flow in (pipeline, *pipeline.siblings) if flow.is_student), None):
        return pipeline.flow(student.task)
    published = component_configs.scheduler(bases.local_folder(str(where)))
    if not is_few_step(published):
        check_student(published, name)
    return replace(pipeline, scheduler=student_scheduler(pipeline.scheduler))


def component_names(name: str | Path) -> dict[str, tuple[str, ...]]:
    """Part (conditioner, denoiser, autoencoder) of what `load` opens → the folders of its components. BadInput: as `load`."""
    files: Mapping[str, str | tuple[str, ...]] = _family_at(name).WEIGHTS
    several = {part: (one,) if isinstance(one, str) else one for part, one in files.items()}
    return {part: tuple(file.partition("/")[0] for file in own) for part, own in several.items()}


def from_scratch(values: Mapping[str, Any]) -> Config:
    """The configuration of a new pipeline: `family` names a file in `models/`, the rest is its `FROM_SCRATCH`.

    Without `family` it is the family whose configuration has its own name as a default. BadInput: no such family, it
    makes nothing from scratch, or what its configuration refuses.
    """
    stem = str(values["family"]) if "family" in values else _default_family()
    if not hasattr(family := _family(stem), "FROM_SCRATCH"):
        raise BadInput(f"{stem}: give the folder or Hub name of an existing base; none is made from scratch")
    return family.FROM_SCRATCH.parse({**values, "family": stem}, stem)


def build(config: Config, find: Callable[[str], Path]) -> Pipeline:
    """A new pipeline of such a configuration; `find` turns the name of a run into the folder of what it trained."""
    return importlib.import_module(type(config).__module__).build(config, find)


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the pipeline's networks in `dtype` as a diffusers folder, atomically, in place of an older one.

    BadInput: what lies there is none.
    """
    check_replaceable(folder, DiffusionPipeline.config_name)
    with atomic_folder(folder) as hidden:
        _family_of(pipeline).save(pipeline, hidden, dtype)
        if pipeline.shapes:
            (hidden / SHAPES).write_text(json.dumps(pipeline.shapes) + "\n")
        for file in hidden.glob("*/config.json"):  # where the weights were opened from is nobody's business
            config = json.loads(file.read_text())
            config.pop("_name_or_path", None)
            file.write_text(json.dumps(config, indent=2) + "\n")


def save_single_file(pipeline: Pipeline, file: Path, title: str, dtype: torch.dtype = torch.float16) -> str | None:
    """Write the pipeline as one file in the original Stable Diffusion layout: why other programs will not open it, or None.

    BadInput: its family has no such layout, its networks have what the layout has not, or something is in the way.
    """
    layout = original_layout(pipeline)
    single_file.save(pipeline, layout, file, title, dtype, lambda folder: save(pipeline, folder, dtype))
    return single_file.differs(pipeline, layout)


def original_layout(pipeline: Pipeline) -> stable_diffusion_file.Layout:
    """The published layout of a pipeline's family. BadInput: it has none."""
    family = _family_of(pipeline)
    if not hasattr(family, "original_layout"):
        known = ", ".join(layout.name for layout in stable_diffusion_file.LAYOUTS)
        raise BadInput(f"this {pipeline.task} pipeline has no single-file layout that others open; accepted: {known}")
    layout: stable_diffusion_file.Layout = family.original_layout(pipeline)
    return layout


def weights(pipeline: Pipeline) -> dict[str, str]:
    """Part (conditioner, denoiser, autoencoder) → its safetensors file in a saved folder, where it has one file."""
    return {part: file for part, file in _weights(pipeline).items() if isinstance(file, str)}


def weight_files(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """Part (conditioner, denoiser, autoencoder) → its safetensors files in a saved folder."""
    return {part: (files,) if isinstance(files, str) else files for part, files in _weights(pipeline).items()}


def scheduler_file(pipeline: Pipeline) -> str:
    """The file of the pipeline's noise schedule in a saved folder, which may hold several flows."""
    schedulers: Mapping[str, str] = getattr(_family_of(pipeline), "SCHEDULERS", {})
    return f"{schedulers.get(pipeline.task, 'scheduler')}/scheduler_config.json"


def _with_shapes(pipeline: Pipeline, file: Path) -> Pipeline:
    """With what `SHAPES` says, where it is there. BadInput: it says something else."""
    if not file.is_file():
        return pipeline
    try:
        shapes = [(int(channels), int(height), int(width)) for channels, height, width in json.loads(file.read_text())]
        return replace(pipeline, latent_shape=shapes[0], shapes=tuple(shapes))
    except (ValueError, TypeError, IndexError) as error:
        raise BadInput(f"{file} is no list of latent shapes, such as [[32, 16, 16], [32, 20, 12]] ({error})") from None


def _weights(pipeline: Pipeline) -> Mapping[str, str | tuple[str, ...]]:
    """`WEIGHTS` of the family, or of one of its `FLOWS`, which are named by their task."""
    family = _family_of(pipeline)
    flows: Mapping[str, Mapping[str, str | tuple[str, ...]]] = getattr(family, "FLOWS", {})
    return flows.get(pipeline.task, family.WEIGHTS)


def _family_of(pipeline: Pipeline) -> ModuleType:
    return importlib.import_module(type(pipeline.conditioner).__module__)


def _family_at(name: str | Path) -> ModuleType:
    """The family of a folder, a Hub name or one file: by its class, and where several layouts have that, by what is inside."""
    family = _family_of_class(class_name(name))
    return _family(family.layout_of(bases.local_folder(str(name)))) if hasattr(family, "layout_of") else family


def _family_of_class(name: str) -> ModuleType:
    """`StableDiffusionXLPipeline` → `models/stable_diffusion_xl.py`, or the file that names it among its `ALIASES`."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Pipeline")).lower()
    if stem not in _stems():
        known = (family for family in _families() if name in getattr(family, "ALIASES", ()))
        if family := next(known, None):
            return family
    return _family(stem)


def _family(stem: str) -> ModuleType:
    module = importlib.import_module(f"models.{stem}") if stem in _stems() else None
    if module is None or not hasattr(module, "WEIGHTS"):
        known = [family.__name__.rpartition(".")[2] for family in _families()]
        raise BadInput(f"no family '{stem}': a family is a file in models/{nearest(stem, known)}")
    return module


def _default_family() -> str:
    configs = (family.FROM_SCRATCH for family in _families() if hasattr(family, "FROM_SCRATCH"))
    return next(
        str(config.model_fields["family"].default)
        for config in configs
        if not config.model_fields["family"].is_required()
    )


def _families() -> list[ModuleType]:
    """Every family's file. This opens all files of `models/`, and is for what a name alone does not say."""
    modules = [importlib.import_module(f"models.{stem}") for stem in _stems()]
    return [module for module in modules if hasattr(module, "WEIGHTS")]


def _stems() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
