"""A cache of tensors that several runs share, keyed by what made them; it knows nothing about what they are.

They lie in `cache/` below the runs. The folder may be deleted at any time: what is needed is computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from base.files import atomic_file
from base.runs import runs_root

_HISTORY = ("architectures", "dtype", "torch_dtype", "transformers_version")
"""Entries of a configuration that tell how a network was opened or saved, and not what it computes."""


def digest(networks: Iterable[nn.Module], *facts: object) -> str:
    """A key for what these networks and facts make.

    Networks count by their classes, configurations, weights and buffers, facts as JSON or as they print; a tensor counts by its
    shape, precision and values. Where networks were opened from, and by which versions, does not count.
    """
    content = hashlib.sha256()
    for part in chain(chain.from_iterable(map(_parts, networks)), map(_part, facts)):
        content.update(sum(map(len, part)).to_bytes(8))  # so that no part may end in the next one
        for piece in part:
            content.update(piece)
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


Part = Sequence[bytes | memoryview]
"""Bytes that count one after the other; a tensor's own are not copied, for a text encoder's table of words has a gigabyte."""


def _parts(network: nn.Module) -> Iterator[Part]:
    """Everything that decides what a network computes: buffers that are not saved are among it."""
    for name, module in network.named_modules():
        yield _part([name, type(module).__name__, _settings(module)])
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        yield [name.encode()]
        yield _part(values)


def _settings(module: nn.Module) -> dict[str, object]:
    """The configuration of a network of diffusers, transformers or ours, by name; nothing of any other module."""
    config = getattr(module, "config", {})
    values = config.to_dict() if hasattr(config, "to_dict") else config if isinstance(config, Mapping) else vars(config)
    return {name: value for name, value in values.items() if name[0] != "_" and name not in _HISTORY}


def _part(fact: object) -> Part:
    if not isinstance(fact, Tensor):
        return [json.dumps(fact, sort_keys=True, default=repr).encode()]  # lists and tuples alike, as files have them
    values = fact.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return [f"{tuple(fact.shape)} {fact.dtype} ".encode(), values.data]
