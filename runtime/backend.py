"""Who runs the graphs of a bundle, and how a batch is cut to what is planned; it knows no runtime: `ort` is `runtime/ort.py`.

A backend is one file here: `BACKEND`, what it needs and where it runs (`runtime/available.py` finds it by that); a `Backend`;
and `load(bundle, options)`, which opens it. Shapes: `N` batch.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from numpy.typing import NDArray

from base.config import nearest
from base.errors import BadInput
from runtime import available, engines, gpu
from runtime.available import BackendInfo
from runtime.bundle import Bundle
from runtime.shapes import joined, pieces
from runtime.signature import FUSED


@dataclass(frozen=True)
class BackendOptions:
    """How a backend runs."""

    threads: int | None = None
    """By default every core."""
    device: str = "auto"
    """`auto` is the GPU where the installed runtime has one; else a device that the backend knows."""
    reproducible: bool = False
    """One plan for every batch: the bytes of an image do not depend on its neighbours in the batch."""


class Backend(ABC):
    """Runs one graph at a time; not to be called by two threads at once."""

    name: ClassVar[str]
    planned_only: ClassVar[bool] = False
    """Whether it runs no other batches than those of `batches`."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        self.options = options or BackendOptions()

    def outputs(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs by name, `(N, …)` or scalars → the graph's outputs `(N, …)` by name, in the graph's order."""
        batches = self.batches(graph, inputs)
        if self.options.reproducible:
            batches = batches[:1] if self.planned_only else (1,)
        if not batches:
            return self.run_piece(graph, inputs)
        return joined((self.run_piece(graph, piece), count) for piece, count in pieces(inputs, batches))

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Inputs by name, `(N, …)` or scalars → the output `(N, …)` of a graph that has one."""
        (output,) = self.outputs(graph, inputs).values()
        return output

    def batches(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Sequence[int]:
        """Batches N, ascending, that a graph has plans for, given inputs `(N, …)`; none: any N is run as one piece."""
        return ()

    def variants(self) -> dict[str, Backend]:
        """Name → this backend computing in another way that the gate of an export measures as well."""
        return {}

    @abstractmethod
    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars, N one of `batches` → outputs `(N, …)` that nothing writes into later."""


def load(name: str, bundle: Bundle, options: BackendOptions | None = None) -> Backend:
    """The backend `name`, or what `auto` stands for, on a bundle. BadInput: as `chosen`, or it does not take this bundle."""
    options = options or BackendOptions()
    module = importlib.import_module(f"runtime.{chosen(name, options.device, bundle)}")
    return cast(Backend, module.load(bundle, options))


def chosen(name: str, device: str = "auto", bundle: Bundle | None = None) -> str:
    """The name itself, or for `auto` the fastest backend that is installed and runs on `device`.

    One of engines is among them where `bundle` holds one for the GPU that is here.

    BadInput: there is no such backend, it is not installed, or it does not run on that device.
    """
    known = available.backends()
    if name == "auto":
        ranked = [other for other, info in known.items() if info.rank is not None and _ready(info, bundle)]
        usable = available.installed(device)
        name = next((other for other in ranked if other in usable), ranked[0])
    if name not in known:
        raise BadInput(f"unknown backend '{name}'{nearest(name, ['auto', *known])}")
    info = known[name]
    if not info.installed:
        raise BadInput(f"backend '{name}' is not installed: pip install 'ippo[{info.extra}]'")
    if device not in (accepted := ("auto", *info.devices)):
        where = " and ".join(info.devices)
        raise BadInput(f"backend '{name}' runs on {where}, not on {device}; accepted: {', '.join(accepted)}")
    return name


def _ready(info: BackendInfo, bundle: Bundle | None) -> bool:
    """Whether `auto` may take a backend: one of engines needs a GPU, and an engine for it in the bundle."""
    if not info.engines:
        return True
    there = engines.capabilities(bundle.manifest.engines, FUSED) if bundle and info.installed else []
    return bool(there) and gpu.capability() in there
