"""What a page in a browser must know of a bundle to draw as the server does: `site.json`; it knows no page and writes nothing.

Shapes: `C` channels, `h w` latent.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import onnx

from base.errors import BadInput
from models.schedule import STUDENT_TIMESTEPS
from models.task import Task, task_named, task_of
from runtime.bundle import Bundle
from runtime.captioner import END
from runtime.provenance import SOFTWARE, TRAINED_ALGORITHM, XMP
from runtime.signature import FUSED, conditioner_inputs
from runtime.tokenize import TEXT_TOKENIZERS, padding

SPELLING = "tokenizer/tokenizer.json"
"""The tokenizer by which captions are spelt."""
WEIGHTS = (".safetensors", ".onnx_data")
"""How files end that graphs keep their weights in."""
MOST_BYTES = 1 << 30
"""Most bytes of weights: a page has 4 GiB of memory at most, and what is fp16 takes three times its size while it is opened."""


@dataclass(frozen=True)
class WeightFile:
    """A file of weights as one graph names it."""

    name: str
    path: str
    """The same file, from the bundle's folder."""


@dataclass(frozen=True)
class SiteGraph:
    """A graph and what it reads."""

    path: str
    data: tuple[WeightFile, ...]


@dataclass(frozen=True)
class SiteTokenizer:
    """One text encoder's tokenizer."""

    path: str
    length: int
    """So many ids are given."""
    pad: str
    """The token that fills them up."""


@dataclass(frozen=True)
class SiteTimestep:
    """Where the student's denoiser is called: `x_t = alpha·x0 + sigma·ε`."""

    number: int
    alpha: float
    sigma: float


@dataclass(frozen=True)
class SiteProvenance:
    """What every picture says of where it came from."""

    model: str
    model_hash: str
    software: str
    xmp: str
    """The packet, with `{description}` and `{software}` to be filled in."""


@dataclass(frozen=True)
class SitePictures:
    """The pictures that a request may hold beside its text."""

    zones: tuple[str, ...]
    """Their keys, the one whose thing is drawn first."""
    size: tuple[int, int]
    """(W, H) that the encoder takes."""
    tokens: tuple[int, int]
    """(T, D) that it gives: an equal share of T to each key, in their order."""


@dataclass(frozen=True)
class SiteCaptions:
    """The flow that says what a picture shows, in one step."""

    verb: str
    columns: tuple[str, ...]
    """Kinds of caption that can be asked for; any of them is one more."""
    latent_shape: tuple[int, int, int]
    graph: SiteGraph
    tokenizer: SiteTokenizer
    end: str
    """The token behind which nothing is read."""


@dataclass(frozen=True)
class Site:
    """The model, as the page's JavaScript reads it."""

    title: str
    verb: str
    """What somebody does to have it drawn."""
    field: str | None
    """The key of a request that holds what is to be drawn."""
    required: bool
    """Whether nothing is drawn without it."""
    control: dict[str, Any]
    """What is shown for the input: the fields of `models.controls`, and as `kind` the name of the class."""
    suggestions: tuple[str, ...]
    unsuggested: str
    """What is said in their place where there are none."""
    sizes: tuple[tuple[int, int], ...]
    latent_shape: tuple[int, int, int]
    scaling_factor: float
    prediction_type: str
    timesteps: tuple[SiteTimestep, ...]
    """The student's own, descending."""
    conditioner_input: str
    conditioning: tuple[str, ...]
    precision: str
    tokenizers: tuple[SiteTokenizer, ...]
    graphs: dict[str, SiteGraph]
    pictures: SitePictures | None
    captions: SiteCaptions | None
    provenance: SiteProvenance

    def paths(self) -> list[str]:
        """Every file of the bundle that the page may open."""
        names = [tokenizer.path for tokenizer in self.tokenizers]
        for graph in (*self.graphs.values(), *([self.captions.graph] if self.captions else [])):
            names += [graph.path, *(weights.path for weights in graph.data)]
        return list(dict.fromkeys(names))


def describe(bundle: Bundle, title: str | None = None) -> Site:
    """A bundle as a page sees it. BadInput: it makes no images, has no fused graph, or is too large for a browser."""
    manifest, task = bundle.manifest, task_of(bundle.manifest)
    _check(bundle, task)
    control = task.control()
    every = STUDENT_TIMESTEPS[max(STUDENT_TIMESTEPS)]
    alpha, sigma = bundle.schedule.alpha, bundle.schedule.sigma
    source = XMP.replace("{source}", TRAINED_ALGORITHM)
    return Site(
        title=title or manifest.model_name,
        verb=task.verb,
        field=task.field.name if task.field else None,
        required=task.required,
        control={"kind": type(control).__name__, **dataclasses.asdict(control)},
        suggestions=tuple(task.suggestions()),
        unsuggested=task.unsuggested(),
        sizes=manifest.sizes,
        latent_shape=manifest.latent_shape,
        scaling_factor=manifest.scaling_factor,
        prediction_type=bundle.schedule.prediction_type,
        timesteps=tuple(SiteTimestep(number, alpha[number], sigma[number]) for number in every),
        conditioner_input=conditioner_inputs(manifest.task)[0],
        conditioning=manifest.conditioning,
        precision=manifest.precision,
        tokenizers=_tokenizers(bundle) if task.tokenized else (),
        graphs={name: _graph(bundle, path) for name, path in manifest.graphs.items() if path in manifest.files},
        pictures=_pictures(bundle, task),
        captions=_captions(bundle),
        provenance=SiteProvenance(manifest.model_name, bundle.hash, SOFTWARE, source),
    )


def _check(bundle: Bundle, task: Task) -> None:
    folder, manifest = bundle.folder, bundle.manifest
    if task.output != "image":
        raise BadInput(f"{folder}: a page draws images, and a model of {task.name} gives {task.output}")
    if manifest.graphs.get(FUSED) not in manifest.files:
        raise BadInput(f"{folder} has no fused graph {FUSED}, which a page draws with: export the model again")
    weights = sum((folder / name).stat().st_size for name in manifest.files if name.endswith(WEIGHTS))
    if weights > MOST_BYTES:
        size, most = f"{weights / 1e9:.2f} GB", f"{MOST_BYTES / 1e9:.2f} GB"
        raise BadInput(f"{folder} holds {size} of weights, too much for a browser: at most {most}")


def _pictures(bundle: Bundle, task: Task) -> SitePictures | None:
    size, tokens = bundle.manifest.picture_size, bundle.manifest.picture_tokens
    return SitePictures(task.varied, size, tokens) if task.varied and size and tokens else None


def _captions(bundle: Bundle) -> SiteCaptions | None:
    """The first flow that writes and has all its steps in one graph; the page asks it for one step."""
    for name, flow in bundle.manifest.flows.items():
        task, path = task_named(name), flow.graphs.get(FUSED)
        if task.output == "text" and path in bundle.manifest.files and SPELLING in bundle.manifest.files:
            own = bundle.flow(name)
            spelling = SiteTokenizer(SPELLING, flow.tokens, "")
            return SiteCaptions(task.verb, flow.classes, flow.latent_shape, _graph(own, path), spelling, END)
    return None


def _graph(bundle: Bundle, path: str) -> SiteGraph:
    """External data lies in the graph's own folder or below it, and the graph names it from there."""
    own, read = PurePosixPath(path).parent, _external(onnx.load(bundle.folder / path, load_external_data=False).graph)
    names = [name for name in bundle.manifest.files if name.endswith(WEIGHTS)]
    files = [WeightFile(str(PurePosixPath(name).relative_to(own)), name) for name in names if _below(name, own)]
    return SiteGraph(path, tuple(file for file in files if file.name in read))


def _below(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).is_relative_to(folder)


def _external(graph: onnx.GraphProto) -> set[str]:
    """The files that a graph's numbers lie in, those of graphs in its nodes among them."""
    tensors = [*graph.initializer, *(attribute.t for node in graph.node for attribute in node.attribute)]
    named = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    inner = [one for node in graph.node for attribute in node.attribute for one in (attribute.g, *attribute.graphs)]
    return named.union(*(_external(one) for one in inner if one.node or one.initializer))


def _tokenizers(bundle: Bundle) -> tuple[SiteTokenizer, ...]:
    names = [name for name in TEXT_TOKENIZERS if f"{name}/tokenizer.json" in bundle.manifest.files]
    return tuple(SiteTokenizer(f"{name}/tokenizer.json", *padding(bundle, name)) for name in names)
