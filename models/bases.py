"""A base and its networks: a diffusers folder, what the Hub has under a name, or one file; it knows no family.

What is wrong with it is known from file names, JSON and heads of safetensors, before anything loads. One file is Stable
Diffusion's own format (`models/stable_diffusion_file.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import DiffusionPipeline
from torch import nn
from transformers import PreTrainedModel

from base.errors import BadInput
from base.safetensors_head import read_head
from models import component_configs, from_config, stable_diffusion_file, weight_files

_NARROW: ContextVar[bool] = ContextVar("narrow_texts", default=False)
_OUTLINES: ContextVar[bool] = ContextVar("outlines", default=False)


@dataclass(frozen=True)
class Base:
    """Where a base's configuration and weights are."""

    name: str
    """As the user gave it: what messages say."""
    folder: Path
    """Its configuration, and its weights unless they are in one file."""

    @classmethod
    def at(cls, name: str) -> Base:
        """What `name` is: a folder as it is, one file with its configuration, or what the Hub has, safetensors only.

        BadInput: none of these.
        """
        return cls(name, local_folder(name))

    @cached_property
    def file(self) -> Path | None:
        """Its weights, where they are in one file."""
        return Path(self.name) if stable_diffusion_file.is_single_file(self.name) else None

    def config(self, component: str) -> dict[str, Any]:
        """The configuration of a component. BadInput: it is missing or no JSON."""
        return component_configs.config(self.folder, component)

    def scheduler(self) -> dict[str, Any]:
        """The scheduler as diffusers makes it, `_class_name` and defaults included, under what one file itself says.

        BadInput: there is none, or diffusers has no such class.
        """
        said = {} if self.file is None else stable_diffusion_file.schedule_of(self.file)
        return {**component_configs.scheduler(self.folder), **said}

    def sizes(self) -> dict[str, int]:
        """Component → how many numbers its weights hold, read from heads. BadInput: weights that are not whole or not here."""
        if self.file is not None:
            return stable_diffusion_file.sizes(self.file)
        components = (component for component in sorted(self.folder.iterdir()) if component.is_dir())
        return {component.name: weight_files.numbers(component) for component in components}

    def check(self, component: str, kind: type[nn.Module]) -> None:
        """BadInput: a component's weights are not whole, not here, or not those of a `kind` of its configuration."""
        if self.file is None:
            weight_files.check(self.folder / component, kind)
        else:
            stable_diffusion_file.check(self.file, component, from_config.empty(kind, self.config(component)))

    def network(self, component: str, kind: type[nn.Module]) -> Any:
        """A component in float32, but for `narrow_texts`, ready to run; `check` was there before."""
        network, folder = from_config.empty(kind, self.config(component)), self.folder / component
        if in_outlines():
            return network.eval()
        if self.file is not None:
            weights = stable_diffusion_file.weights(self.file, component, network)
            network.load_state_dict(weights, assign=True)
            return network.eval()
        files = weight_files.find(folder)
        if front := weight_files.prefix({name for file in files for name in read_head(file).shapes}, network):
            stored = weight_files.read(files)
            ours = {name: stored[front + name].to(torch.float32) for name in network.state_dict()}
            network.load_state_dict(ours, assign=True)
            return network.eval()
        precision = "dtype" if issubclass(kind, PreTrainedModel) else "torch_dtype"
        dtype = torch.bfloat16 if _NARROW.get() and weight_files.is_narrow(folder) else torch.float32
        opened = cast(Any, kind)
        with warnings.catch_warnings(action="ignore"):
            return opened.from_pretrained(folder, variant=weight_files.variant(folder), **{precision: dtype}).eval()


def local_folder(name: str) -> Path:
    """A folder as it is, the configuration of a base in one file, or what the Hub has under that name, safetensors only.

    BadInput: none of these.
    """
    if Path(name).is_dir():
        return Path(name)
    if stable_diffusion_file.is_single_file(name):
        return stable_diffusion_file.configuration(Path(name))
    try:
        return Path(DiffusionPipeline.download(name, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise BadInput(f"{name} cannot be had from the Hub as safetensors: {first}") from error


def narrow_texts() -> AbstractContextManager[None]:
    """Inside, text encoders that are stored in bf16 are opened in it, for nothing trains them: 5 GB of Gemma-2, not 10."""
    return _set(_NARROW)


def outlines() -> AbstractContextManager[None]:
    """Inside, networks are opened without their weights, on the device `meta`: of a base of any size at once."""
    return _set(_OUTLINES)


def in_outlines() -> bool:
    """Whether networks are opened without their weights."""
    return _OUTLINES.get()


@contextmanager
def _set(flag: ContextVar[bool]) -> Iterator[None]:
    before = flag.set(True)
    try:
        yield
    finally:
        flag.reset(before)
