"""A cache of tensors that several runs share, keyed by what made them; it knows nothing about what they are.

They lie in `cache/` below the runs. The folder may be deleted at any time: what is needed is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from base.files import atomic_file
from base.runs import runs_root


def digest(networks: Iterable[nn.Module], *facts: object) -> str:
    """A key for what these weights and facts make; a tensor among the facts (of any shape) counts by its values."""
    content = hashlib.sha256()
    for network in networks:
        for weight in network.state_dict().values():
            content.update(_bytes(weight))
    for fact in facts:
        content.update(_bytes(fact) if isinstance(fact, Tensor) else repr(fact).encode())
    return content.hexdigest()[:24]


def cached(name: str, make: Callable[[], Tensor]) -> Tensor:
    """The tensor `name`, of the shape that `make` gives; computed now if it is not in the cache yet."""
    return cached_tensors(name, lambda: {"values": make()})["values"]


def cached_tensors(name: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Several tensors by name, of the shapes that `make` gives; computed now if they are not in the cache yet."""
    file = runs_root() / "cache" / f"{name}.safetensors"
    if file.is_file():
        return load_file(file)
    values = {key: value.contiguous() for key, value in make().items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as hidden:
        save_file(values, hidden)
    return values


def _bytes(values: Tensor) -> bytes:
    return values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
