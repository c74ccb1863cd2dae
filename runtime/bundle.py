"""A bundle on disk: the manifest, and opening a folder only when every file is what was exported; it runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import BadInput
from base.files import leads_out, sha256
from base.pointers import absence
from models.schedule import Schedule
from models.task import doing, task_named
from models.word_by_word import ByWord
from runtime import hub
from runtime.engines import Engine
from runtime.shapes import Bucket
from runtime.signature import FUSED, INPUT_AXES, NEXT_TOKEN, graph_inputs, graph_outputs

MANIFEST = hub.MANIFEST
VERSION = 6
BY_WORD_FILE = "by_word.json"
"""What a flow that writes word by word is written with, beside its graphs."""


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


@dataclass(frozen=True)
class Bundle:
    """An opened, checked bundle folder."""

    folder: Path
    manifest: Manifest

    def flow(self, task: str) -> Bundle:
        """The bundle as its flow that does that task sees it. BadInput: none does."""
        found = doing(task, self.manifest.tasks)
        if found is None:
            raise BadInput(f"{self.folder} does not do {task}; it does: {', '.join(self.manifest.tasks)}")
        if found == self.manifest.task:
            return self
        return Bundle(self.folder, self.manifest.flows[found].model_copy(update={"files": self.manifest.files}))

    def check_draws(self) -> None:
        """BadInput: it writes, and draws nothing."""
        if task_named(self.manifest.task).output != "image":
            raise BadInput(f"{self.folder} draws nothing; it does {', '.join(self.manifest.tasks)} (ippo caption)")

    def path(self, name: str) -> Path:
        """A file of the bundle; only what the manifest lists, and so has been checked, is ever opened."""
        if name not in self.manifest.files:
            raise BadInput(f"{self.folder} holds no {name}")
        return self.folder / name

    def plans(self, graph: str, batches: Sequence[int]) -> list[dict[str, int]]:
        """Dynamic dimensions of a graph in every bucket, each once; a size without a bucket has one for each of `batches`."""
        planned = {(bucket.width, bucket.height) for bucket in self.manifest.buckets}
        without = [Bucket(batch, *size) for size in self.manifest.sizes if size not in planned for batch in batches]
        own = {axis for axes in INPUT_AXES[graph].values() for axis in axes.values()}
        every = [self.manifest.axes(bucket) for bucket in (*self.manifest.buckets, *without)]
        taken = [{axis: size for axis, size in axes.items() if axis in own} for axes in every]
        return [axes for index, axes in enumerate(taken) if axes not in taken[:index]]

    def check_inputs(self, graph: str, inputs: Iterable[str]) -> None:
        """BadInput: a graph whose file takes `inputs` does not take what this version of ippo gives it."""
        taken = self.input_axes(graph).keys()
        if set(inputs) != taken:
            names, known = ", ".join(sorted(inputs)), ", ".join(sorted(taken))
            raise BadInput(f"{self.folder}: {graph} takes {names}; this ippo knows {known}")

    def input_axes(self, graph: str) -> dict[str, dict[int, str]]:
        """Inputs that a graph of this bundle has → their dynamic dimensions by name."""
        taken = graph_inputs(graph, self.manifest.task, self.manifest.conditioning)
        return {name: axes for name, axes in INPUT_AXES[graph].items() if name in taken}

    def outputs(self, graph: str) -> tuple[str, ...]:
        """Names of a graph's outputs, in its order."""
        return graph_outputs(graph, self.manifest.task, self.manifest.conditioning)

    def contents(self, graph: str, backend: str = "") -> dict[str, str]:
        """Path → SHA-256 of what a graph is made of: its own file, and all weights; of a twin all files named like it."""
        files, own = self.manifest.files, self._path(graph, backend)
        if own in self.manifest.twins.values():
            stem = own.rpartition(".")[0]
            return {name: files[name] for name in files if name.startswith(f"{stem}.")}
        return {name: files[name] for name in files if name == own or name.endswith(".safetensors")}

    def graph(self, name: str, backend: str = "") -> Path:
        """The file of a graph: `conditioner`, `denoiser`, `decoder`, `encoder` or `one_step`, or the backend's twin of it."""
        return self.path(self._path(name, backend))

    def _path(self, graph: str, backend: str) -> str:
        usual = self.manifest.graphs.get(graph, graph)
        return self.manifest.twins.get(backend, usual) if graph == FUSED else usual

    def planned(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> list[dict[str, int]]:
        """Dynamic dimensions of the buckets that have the height and width of inputs `(N, …)`, of whatever batch."""
        taken = dimensions(graph, inputs)
        every = (self.manifest.axes(bucket) for bucket in self.manifest.buckets)
        return [axes for axes in every if {**taken, "batch": axes["batch"]}.items() <= axes.items()]

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
        """Batches N of the buckets for the height and width of inputs `(N, …)`, ascending."""
        return tuple(sorted({axes["batch"] for axes in self.planned(graph, inputs)}))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the manifest as exported, which holds that of every file: the bundle's name in provenance."""
        return hashlib.sha256(hub.unstamped((self.folder / MANIFEST).read_bytes())).hexdigest()

    @cached_property
    def by_word(self) -> ByWord | None:
        """How the flow writes, where it does so word by word."""
        if NEXT_TOKEN not in self.manifest.graphs:
            return None
        values = json.loads(self.path(BY_WORD_FILE).read_text())
        return ByWord(**{**values, "past": tuple(values["past"])})

    @cached_property
    def schedule(self) -> Schedule:
        """The student's noise schedule, from the scheduler that diffusers reads as well."""
        return Schedule.from_config(json.loads(self.path(self.manifest.scheduler).read_text()))


def open_bundle(folder: str | Path) -> Bundle:
    """Open a bundle, a folder or `hub:user/name`, and check every file against its SHA-256.

    BadInput: it is missing, altered or newer, of an unknown task, or the Hub does not have it.
    """
    folder = hub.local(folder)
    manifest = _read_manifest(folder)
    for name, expected in manifest.files.items():
        file = folder / name
        if leads_out(name):
            raise BadInput(f"{folder / MANIFEST} lists {name}, which lies outside of the bundle")
        if (why := absence(file)) is not None:
            raise BadInput(f"{file} {why}")
        if not file.is_file():
            raise BadInput(f"bundle {folder} is incomplete: {name} is missing")
        if sha256(file) != expected:
            raise BadInput(f"bundle {folder} was altered: {name} is not the file that was exported (SHA-256 differs)")
    return Bundle(folder, manifest)


def dimensions(graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """The dynamic dimensions of a graph's inputs `(N, …)`: name → size."""
    taken = INPUT_AXES[graph]
    return {axis: array.shape[index] for name, array in inputs.items() for index, axis in taken[name].items()}


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
