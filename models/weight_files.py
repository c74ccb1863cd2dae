"""The safetensors files of a component's folder: which they are, whether they are whole and a network's; it knows no family."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from base.errors import BadInput
from base.safetensors_head import SUFFIX, read_head
from models import component_configs, from_config
from models.stable_diffusion_file import RELEASED
from models.tensor_names import check_names

VARIANT = "fp16"
"""The one that is taken where there are no weights in full precision."""

_STEMS = ("diffusion_pytorch_model", "model")
"""Of the files that hold a component's weights: diffusers' and transformers'."""
_FOREIGN = (".bin", ".ckpt", ".pt")
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def find(component: Path) -> list[Path]:
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


def variant(component: Path) -> str | None:
    """`VARIANT` where the folder's weights are of it; None: in full precision. BadInput: as `find`."""
    first = find(component)[0].name
    return VARIANT if f".{VARIANT}." in first or f".{VARIANT}-" in first else None


def numbers(component: Path) -> int:
    """How many numbers a folder's weights hold; 0 of a component without weights. BadInput: as `find`."""
    return sum(read_head(file).numbers for file in find(component)) if _any(component) else 0


def is_narrow(component: Path) -> bool:
    """Whether the folder is a text encoder's that is stored in bf16 alone."""
    if not component.name.startswith("text_encoder") or not _any(component):
        return False
    return all(read_head(file).precisions == {"BF16"} for file in find(component))


def read(files: Sequence[Path]) -> dict[str, Tensor]:
    """All tensors of a component's files, of any shape."""
    return {name: weight for file in files for name, weight in load_file(file).items()}


def check(component: Path, kind: type[nn.Module]) -> None:
    """BadInput: a network's weights are not whole, not here, or not those of a `kind` of the folder's configuration."""
    network = from_config.empty(kind, component_configs.config(component.parent, component.name))
    files = find(component)
    shapes = {name: shape for file in files for name, shape in read_head(file).shapes.items()}
    front = prefix(shapes, network)
    held = {_today(name.removeprefix(front)): shape for name, shape in shapes.items()}
    expected = {_today(name): tuple(value.shape) for name, value in network.state_dict().items()}
    check_names(str(files[0]), held, expected, f"{kind.__name__} of {component / 'config.json'}")


def prefix(stored: Collection[str], network: nn.Module) -> str:
    """What all names of the network's tensors begin with in a file, where it is more than the libraries know."""
    names = list(network.state_dict())
    fronts = {name.removesuffix(names[0]) for name in stored if name.endswith(f".{names[0]}")}
    fitting = (front for front in sorted(fronts) if all(front + name in stored for name in names))
    front = next(fitting, "")
    return "" if front == RELEASED else front


def _any(component: Path) -> bool:
    return any(component.glob(f"*{SUFFIX}*"))


def _shards(index: Path) -> list[Path]:
    names = sorted(set(component_configs.read(index.parent, index.name).get("weight_map", {}).values()))
    files = [index.with_name(Path(str(name)).name) for name in names]
    absent = [file for file in files if not (file.is_file() or file.is_symlink())]
    if absent or not files:
        first = absent[0].name if absent else "every shard"
        raise BadInput(
            f"{index.parent.parent} is incomplete: {index.parent.name}/{first} is missing "
            f"({len(absent)} of {len(files)} shards that {index.name} names): fetch it again"
        )
    return files


def _today(name: str) -> str:
    """A tensor's name as the libraries have it now: without a text encoder's outermost module, attention in new words."""
    old = re.sub(r"(?<=attentions\.\d\.)(query|key|value|proj_attn)\b", lambda found: _OLD_ATTENTION[found[0]], name)
    return old.removeprefix(RELEASED)
