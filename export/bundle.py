"""A bundle on disk: the manifest, and opening a folder only when every file is what was exported; it runs nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import BadInput
from models.schedule import Prediction, Schedule

MANIFEST = "manifest.json"
VERSION = 2


class Step(BaseModel):
    """One timestep of the student and its noise level: `x_t = alpha·x0 + sigma·ε`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestep: int
    alpha: float
    sigma: float


class Manifest(BaseModel):
    """What a bundle is; written last by the export."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    version: int
    """Of this format."""
    task: str
    """In Hugging Face's words: `text-to-image`, `class-to-image`, `unconditional-image-generation`."""
    model_name: str
    """What people call the model."""
    source: str
    """Where the weights came from."""
    inputs: tuple[str, ...]
    """What a request holds besides its seed: a prompt, a label, nothing."""
    classes: tuple[str, ...] = ()
    """Names of the labels, where a request holds one."""
    graphs: dict[str, str] = {
        "conditioner": "text_encoder/model.onnx",
        "denoiser": "unet/model.onnx",
        "decoder": "vae/decoder.onnx",
        "encoder": "vae/encoder.onnx",
        "one_step": "one_step.onnx",
    }
    """Graph → its path inside the bundle; before version 2 every bundle had these."""
    precision: str
    """Of the weights and inside the graphs: `fp16`."""
    wide: tuple[str, ...] = ()
    """Components whose activations leave fp16's range: fp16 weights, float32 inside."""
    prediction_type: Prediction
    timesteps: tuple[Step, ...]
    """All that the student's 1 to 4 steps use, descending."""
    sizes: tuple[tuple[int, int], ...]
    """Accepted image sizes (W, H)."""
    latent_shape: tuple[int, int, int]
    """(C, h, w) of the noise."""
    scaling_factor: float
    """The decoder takes latents divided by it."""
    tokens: int
    """S, 1 for a label; longer prompts are cut."""
    files: dict[str, str]
    """Path inside the bundle → SHA-256."""
    parity: dict[str, dict[str, float]]
    """Figures of the gate that this bundle passed."""
    versions: dict[str, str]
    """Of the packages that exported it."""
    card: dict[str, Any] = {}
    """Whatever the model card wants to say."""


@dataclass(frozen=True)
class Bundle:
    """An opened, checked bundle folder."""

    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """A file of the bundle; only what the manifest lists, and so has been checked, is ever opened."""
        if name not in self.manifest.files:
            raise BadInput(f"{self.folder} holds no {name}")
        return self.folder / name

    def graph(self, name: str) -> Path:
        """The ONNX file of a graph: `conditioner`, `denoiser`, `decoder`, `encoder` or `one_step`."""
        return self.path(self.manifest.graphs.get(name, name))

    @cached_property
    def schedule(self) -> Schedule:
        """The student's noise schedule, from the scheduler that diffusers reads as well."""
        return Schedule.from_config(json.loads(self.path("scheduler/scheduler_config.json").read_text()))


def open_bundle(folder: str | Path) -> Bundle:
    """Open a bundle and check every file against its SHA-256; `BadInput` when it is missing, altered or newer."""
    folder = Path(folder)
    manifest = _read_manifest(folder)
    for name, expected in manifest.files.items():
        file = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInput(f"{folder / MANIFEST} lists {name}, which lies outside of the bundle")
        if not file.is_file():
            raise BadInput(f"bundle {folder} is incomplete: {name} is missing")
        if sha256(file) != expected:
            raise BadInput(f"bundle {folder} was altered: {name} is not the file that was exported (SHA-256 differs)")
    return Bundle(folder, manifest)


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    file = folder / MANIFEST
    if not folder.is_dir():
        raise BadInput(f"no bundle {folder}: there is no such folder")
    if not file.is_file():
        raise BadInput(f"{folder} is no bundle: it has no {MANIFEST} (`ippo export` makes one)")
    try:
        values = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadInput(f"{file} was altered: it is not valid JSON") from error
    version = values.get("version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise BadInput(f"{file} has version {version}, this ippo reads up to version {VERSION}: upgrade ippo")
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadInput(f"{file} was altered: {where}: {first['msg']}") from error
