"""What a base holds, read from file names, JSON and heads of safetensors before anything loads; then its networks.

A base is a diffusers folder, what the Hub has under a name, or one file, which is Stable Diffusion's own format
(`models/stable_diffusion_file.py`). It knows nothing else about any family.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import DiffusionPipeline
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from base.errors import BadInput
from base.safetensors_head import SUFFIX, FileHead, read_head
from models import stable_diffusion_file
from models.tensor_names import check_names

VARIANT = "fp16"
"""The one that is taken where there are no weights in full precision."""

N = TypeVar("N")
_NARROW: ContextVar[bool] = ContextVar("narrow_texts", default=False)
_OUTLINES: ContextVar[bool] = ContextVar("outlines", default=False)
_STEMS = ("diffusion_pytorch_model", "model")
"""Of the files that hold a component's weights: diffusers' and transformers'."""
_FOREIGN = (".bin", ".ckpt", ".pt")
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class Base:
    """Where a base's configuration and weights are."""

    name: str
    """As the user gave it: what messages say."""
    folder: Path
    """Its configuration, and its weights unless they are in one file."""

    @cached_property
    def file(self) -> Path | None:
        """Its weights, where they are in one file."""
        return Path(self.name) if stable_diffusion_file.is_single_file(self.name) else None

    def config(self, component: str) -> dict[str, Any]:
        """The configuration of a component. BadInput: it is missing or no JSON."""
        return config(self.folder, component)

    def scheduler(self) -> dict[str, Any]:
        """The scheduler as diffusers makes it, `_class_name` and defaults included, under what one file itself says.

        BadInput: there is none, or diffusers has no such class.
        """
        said = {} if self.file is None else stable_diffusion_file.schedule_of(self.file)
        return {**scheduler(self.folder), **said}

    def check(self, component: str, kind: type[nn.Module]) -> None:
        """BadInput: a component's weights are not whole, not here, or not those of a `kind` of its configuration."""
        if self.file is None:
            check_weights(self.folder / component, kind)
        else:
            stable_diffusion_file.check(self.file, component, empty(kind, self.config(component)))

    def network(self, component: str, kind: type[nn.Module]) -> Any:
        """A component in float32, but for `narrow_texts`, ready to run; `check` was there before."""
        network, folder = empty(kind, self.config(component)), self.folder / component
        if in_outlines():
            return network.eval()
        if self.file is not None:
            weights = stable_diffusion_file.weights(self.file, component, network)
            network.load_state_dict(weights, assign=True)
            return network.eval()
        if front := _front({name for file in weight_files(folder) for name in read_head(file).shapes}, network):
            stored = {name: value for file in weight_files(folder) for name, value in load_file(file).items()}
            ours = {name: stored[front + name].to(torch.float32) for name in network.state_dict()}
            network.load_state_dict(ours, assign=True)
            return network.eval()
        precision = "dtype" if issubclass(kind, PreTrainedModel) else "torch_dtype"
        narrow = _NARROW.get() and is_narrow(self.folder, component)
        dtype, opened = torch.bfloat16 if narrow else torch.float32, cast(Any, kind)
        with warnings.catch_warnings(action="ignore"):
            return opened.from_pretrained(folder, variant=_variant(folder), **{precision: dtype}).eval()


@contextmanager
def narrow_texts() -> Iterator[None]:
    """Inside, text encoders that are stored in bf16 are opened in it, for nothing trains them: 5 GB of Gemma-2, not 10."""
    before = _NARROW.set(True)
    try:
        yield
    finally:
        _NARROW.reset(before)


@contextmanager
def outlines() -> Iterator[None]:
    """Inside, networks are opened without their weights, on the device `meta`: of a base of any size at once."""
    before = _OUTLINES.set(True)
    try:
        yield
    finally:
        _OUTLINES.reset(before)


def in_outlines() -> bool:
    """Whether networks are opened without their weights."""
    return _OUTLINES.get()


def is_narrow(folder: Path, component: str) -> bool:
    """Whether a component is a text encoder that is stored in bf16 alone."""
    if not component.startswith("text_encoder") or not any((folder / component).glob(f"*{SUFFIX}*")):
        return False
    return all(read_head(file).precisions == {"BF16"} for file in weight_files(folder / component))


def check_weights(folder: Path, kind: type[nn.Module]) -> None:
    """BadInput: a network's weights are not whole, not here, or not those of a `kind` of the folder's configuration."""
    network = empty(kind, config(folder.parent, folder.name))
    files = weight_files(folder)
    shapes = {name: shape for file in files for name, shape in read_head(file).shapes.items()}
    front = _front(shapes, network)
    held = {_today(name.removeprefix(front)): shape for name, shape in shapes.items()}
    expected = {_today(name): tuple(value.shape) for name, value in network.state_dict().items()}
    check_names(str(files[0]), held, expected, f"{kind.__name__} of {folder / 'config.json'}")


def in_class(kind: type[nn.Module], network: Any, dtype: torch.dtype) -> Any:
    """A network of diffusers as another class with the same configuration, its weights on the CPU in `dtype`."""
    made: Any = kind
    with torch.device("meta"):
        other = made.from_config(network.config)
    weights = {name: weight.detach().to("cpu", dtype) for name, weight in network.state_dict().items()}
    other.load_state_dict(weights, assign=True)
    return other


def base(name: str) -> Base:
    """What `name` is: a folder as it is, one file with its configuration, or what the Hub has, safetensors only.

    BadInput: none of these.
    """
    return Base(name, local(name))


def local(name: str) -> Path:
    """A folder as it is, the configuration of a base in one file, or what the Hub has under that name, safetensors only."""
    if Path(name).is_dir():
        return Path(name)
    if stable_diffusion_file.is_single_file(name):
        return stable_diffusion_file.configuration(Path(name))
    try:
        return Path(DiffusionPipeline.download(name, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise BadInput(f"{name} cannot be had from the Hub as safetensors: {first}") from error


def sizes(name: str) -> dict[str, int]:
    """Component → how many numbers its weights hold, of a folder, a Hub name or one file, read from their heads.

    BadInput: weights that are not whole or not here.
    """
    folder = local(name)
    if stable_diffusion_file.is_single_file(name):
        return stable_diffusion_file.sizes(Path(name))
    return {component.name: _size(component) for component in sorted(folder.iterdir()) if component.is_dir()}


def config(folder: Path, component: str) -> dict[str, Any]:
    """The configuration of a component. BadInput: it is missing or no JSON."""
    return _json(folder, f"{component}/config.json")


def index(folder: Path) -> dict[str, Any]:
    """The folder's `model_index.json`. BadInput: it is missing or no JSON."""
    return _json(folder, DiffusionPipeline.config_name)


def scheduler(folder: Path, component: str = "scheduler") -> dict[str, Any]:
    """A scheduler of a folder as diffusers makes it, `_class_name` and defaults included.

    BadInput: there is none, or diffusers has no such class.
    """
    stored = _json(folder, f"{component}/scheduler_config.json")
    name = str(stored.get("_class_name"))
    kind = getattr(diffusers, name, None)
    if kind is None or not hasattr(kind, "from_config"):
        raise BadInput(f"{folder}: its scheduler {name} is none that diffusers has")
    return {**kind.from_config(stored).config, "_class_name": name}


def tokenizer(folder: Path, component: str) -> None:
    """BadInput: the tokenizer's files are missing."""
    if not any((folder / component / name).is_file() for name in ("vocab.json", "tokenizer.json")):
        raise BadInput(f"{folder} is incomplete: it has no {component}/vocab.json")


def weight_files(component: Path) -> list[Path]:
    """The safetensors files of a component's folder, in full precision where there are such.

    BadInput: none at all, a shard is missing, or there are weights of a kind that can hold code alone.
    """
    stored = [(f"{stem}{end}", end) for end in ("", f".{VARIANT}") for stem in _STEMS]
    for name, end in stored:
        stem = name.removesuffix(end)
        if (index := component / f"{stem}{SUFFIX}.index{end}.json").is_file():
            return _shards(index)
        if (file := component / f"{name}{SUFFIX}").is_file() or file.is_symlink():
            return [file]
    foreign = [path.name for path in sorted(component.glob("*")) if path.suffix in _FOREIGN]
    hint = f"; {foreign[0]} can hold code and is not read: save it as safetensors" if foreign else ""
    stem = _STEMS[1] if "encoder" in component.name else _STEMS[0]
    raise BadInput(f"{component.parent} is incomplete: it has no {component.name}/{stem}{SUFFIX}{hint}")


def _shards(index: Path) -> list[Path]:
    names = sorted(set(_json(index.parent, index.name).get("weight_map", {}).values()))
    files = [index.with_name(Path(str(name)).name) for name in names]
    absent = [file for file in files if not (file.is_file() or file.is_symlink())]
    if absent or not files:
        first = absent[0].name if absent else "every shard"
        raise BadInput(
            f"{index.parent.parent} is incomplete: {index.parent.name}/{first} is missing "
            f"({len(absent)} of {len(files)} shards that {index.name} names): fetch it again"
        )
    return files


def _variant(component: Path) -> str | None:
    first = weight_files(component)[0].name
    return VARIANT if f".{VARIANT}." in first or f".{VARIANT}-" in first else None


def _size(component: Path) -> int:
    if not any(component.glob(f"*{SUFFIX}*")):
        return 0
    heads: Sequence[FileHead] = [read_head(file) for file in weight_files(component)]
    return sum(head.numbers for head in heads)


def fresh(kind: Callable[..., N], what: str, values: Mapping[str, Any]) -> N:
    """A new network of what a configuration says under the key `what`. BadInput: none is made of it."""
    try:
        return kind(**values)
    except Exception as error:  # the libraries share no narrower class
        first = " ".join(str(error).split()) or repr(error)
        raise BadInput(
            f"{what}: no {kind.__name__ if isinstance(kind, type) else 'network'} is made of it: {first[:200]}"
        ) from error


def empty(kind: type[nn.Module], config: Mapping[str, Any]) -> nn.Module:
    """A network without weights, of a component's configuration; its buffers are there. BadInput: of no such one."""
    made: Any = kind
    try:
        with init_empty_weights(include_buffers=False), warnings.catch_warnings(action="ignore"):
            if issubclass(kind, PreTrainedModel):
                own = config.get(made.config_class.base_config_key, config)  # a CLIP's folder holds both towers'
                return made(made.config_class.from_dict(dict(own)))
            return made.from_config(dict(config))
    except (ValueError, TypeError, KeyError) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        raise BadInput(f"no {kind.__name__} is made of its config.json: {first[:200]}") from error


def _front(stored: Collection[str], network: nn.Module) -> str:
    """What all names of the network's tensors begin with in a file, where it is more than the libraries know."""
    names = list(network.state_dict())
    fronts = {name.removesuffix(names[0]) for name in stored if name.endswith(f".{names[0]}")}
    fitting = (front for front in sorted(fronts) if all(front + name in stored for name in names))
    front = next(fitting, "")
    return "" if front == stable_diffusion_file.RELEASED else front


def _today(name: str) -> str:
    """A tensor's name as the libraries have it now: without a text encoder's outermost module, attention in new words."""
    old = re.sub(r"(?<=attentions\.\d\.)(query|key|value|proj_attn)\b", lambda found: _OLD_ATTENTION[found[0]], name)
    return old.removeprefix(stable_diffusion_file.RELEASED)


def _json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        raise BadInput(f"{folder} is incomplete: it has no {name}") from None
    except ValueError as error:
        raise BadInput(f"{file} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{file} is no JSON object")
    return content
