"""The manifest of a bundle, `manifest.json`: what it says, and reading it; it looks at no other file."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import BadInput
from models.task import task_named
from runtime import hub
from runtime.engines import Engine
from runtime.shapes import Bucket

MANIFEST = hub.MANIFEST
VERSION = 6


class Manifest(BaseModel):
    """What a bundle is; written last by the export."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    version: int
    """Version of this format."""
    source: str | None = Field(default=None, exclude=True)
    """Where the bundle was fetched from, with its revision, `hub:user/name@…`; an export writes none."""
    task: str
    """In Hugging Face's words: `text-to-image`, `class-to-image`, `attributes-to-image`, `unconditional-image-generation`."""
    model_name: str
    """What people call the model."""
    inputs: tuple[str, ...]
    """What a request holds besides its seed: a prompt, a label, attributes, nothing."""
    classes: tuple[str, ...] = ()
    """Names of the labels, where a request holds one."""
    slots: dict[str, tuple[str, ...]] = {}
    """Slot → attributes that exclude each other, where a request holds weights of them; their order is that of the weights."""
    graphs: dict[str, str]
    """Graph → its path inside the bundle."""
    conditioning: tuple[str, ...]
    """Inputs of the denoiser that the conditioner gives, in the order of its outputs: fields of `Conditioning`."""
    precision: str
    """Precision of the weights and inside the graphs: `fp16` or `fp32`; `int8` is fp16 with twins."""
    twins: dict[str, str] = {}
    """Backend → the int8 twin of the fused graph that it runs in its place, on a CPU."""
    engines: tuple[Engine, ...] = ()
    """Built ahead of time, for some GPUs; a bundle is whole without them, and each is checked only when it is to be loaded."""
    wide: tuple[str, ...] = ()
    """Components whose activations leave fp16's range: they compute in float32 whatever the precision of their weights."""
    sizes: tuple[tuple[int, int], ...]
    """Accepted image sizes (W, H), the one drawn by default first."""
    buckets: tuple[Bucket, ...] = ()
    """(batch, W, H) that get static plans; at a size that has none, backends plan for batches of their own choice."""
    latent_shape: tuple[int, int, int]
    """(C, h, w) of the noise, at the first of the sizes."""
    scaling_factor: float
    """The decoder takes latents divided by it."""
    tokens: int
    """What the conditioner takes of an image: S ids, 1 for a label, A weights of attributes; longer prompts are cut."""
    scheduler: str = "scheduler/scheduler_config.json"
    """Path of the noise schedule inside the bundle."""
    picture_tokens: tuple[int, int] | None = None
    """(T, D) of what the encoder of pictures gives, where requests hold pictures."""
    picture_size: tuple[int, int] | None = None
    """(W, H) of the pictures that it takes."""
    local_tokens: bool = False
    """Whether half of them are a class token and the patches of one picture: then style can be told from content (`focus`)."""
    captions: tuple[str, ...] = ()
    """A few captions of the set that the model learnt, to try on a page; none: the export knew no set."""
    flows: dict[str, Manifest] = {}
    """Task → the other flows of the bundle, which share weights with this one; their files are listed here."""
    files: dict[str, str]
    """Path inside the bundle → SHA-256."""
    parity: dict[str, dict[str, float]]
    """Figures of the gate that this bundle passed."""
    versions: dict[str, str]
    """Package that exported it → its version."""

    def latent(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """(C, h, w) of the noise of images of a size (W, H)."""
        (width, height), (channels, rows, columns) = self.sizes[0], self.latent_shape
        return channels, size[1] * rows // height, size[0] * columns // width

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the bundle can do, the first flow's task first."""
        return (self.task, *self.flows)

    def axes(self, bucket: Bucket) -> dict[str, int]:
        """The dynamic dimensions of every graph in a bucket, by the names that `runtime.signature` gives them."""
        _, rows, columns = self.latent((bucket.width, bucket.height))
        image = {"image_height": bucket.height, "image_width": bucket.width}
        return {"batch": bucket.batch, "height": rows, "width": columns, **image}


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a bundle's folder. BadInput: there is none, it was altered, or it is of another version or task."""
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
    if isinstance(version, int) and version != VERSION:
        remedy = "upgrade ippo" if version > VERSION else "export the model again"
        raise BadInput(f"{file} has version {version}, this ippo reads version {VERSION}: {remedy}")
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadInput(f"{file} was altered: {where}: {first['msg']}") from error
    for task in manifest.tasks:
        task_named(task)
    return manifest
