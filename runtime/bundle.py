"""A bundle on disk: opened only when every file is what was exported, its graphs with their dimensions; it runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from base.errors import BadInput
from base.files import leads_out, sha256
from base.pointers import absence
from models.schedule import Schedule
from models.task import doing, task_named
from models.word_by_word import ByWord
from runtime import hub
from runtime.manifest import MANIFEST, Manifest, read_manifest
from runtime.shapes import Bucket
from runtime.signature import FUSED, INPUT_AXES, NEXT_TOKEN, graph_inputs, graph_outputs

BY_WORD_FILE = "by_word.json"
"""What a flow that writes word by word is written with, beside its graphs."""


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
    manifest = read_manifest(folder)
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
