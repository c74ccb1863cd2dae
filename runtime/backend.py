"""Who runs the graphs of a bundle, chosen by name; it knows no runtime: `ort` is `runtime/ort.py`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol, cast

from numpy.typing import NDArray

from base.config import nearest
from base.errors import BadInput
from runtime.bundle import Bundle

NEEDS = {"openvino": "openvino", "ort": "onnxruntime", "eager": "torch"}
"""Backend → the package that it needs; the order is `auto`'s order of preference, the fastest first."""
ON_TARGET = {"trt": "tensorrt"}
"""As `NEEDS`, for those that never ran here: chosen by name only, and no part of the gate that ends an export."""
EXTRAS = {"openvino": "serve", "ort": "serve", "eager": "train", "trt": "trt"}

Mode = Literal["latency", "throughput"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Options:
    """How a backend runs; one that cannot says so."""

    threads: int | None = None
    """By default every core."""
    mode: Mode = "latency"
    """`throughput` draws parts of a batch side by side, each on fewer threads."""
    device: Device = "auto"
    """`auto` is the GPU where the installed runtime has one."""
    reproducible: bool = False
    """One plan for every batch: the bytes of an image do not depend on what is drawn beside it."""


class Backend(Protocol):
    """Runs one graph at a time; not to be called by two threads at once."""

    name: str

    def outputs(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs by name → the graph's outputs by name, in the graph's order."""

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The same of a graph that has one output."""
        (found,) = self.outputs(graph, inputs).values()
        return found


def load(
    name: str,
    bundle: Bundle,
    threads: int | None = None,
    *,
    mode: Mode = "latency",
    device: Device = "auto",
    reproducible: bool = False,
) -> Backend:
    """The backend `name`, or with `auto` the best that is installed. BadInput: it is not, or cannot run like that."""
    if name == "auto":
        name = next(iter(installed()), "ort")
    packages = NEEDS | ON_TARGET
    if name not in packages:
        raise BadInput(f"unknown backend '{name}'{nearest(name, ['auto', *packages])}")
    if not _there(packages[name]):
        raise BadInput(f"backend '{name}' is not installed: pip install 'ippo[{EXTRAS[name]}]'")
    options = Options(threads, mode, device, reproducible)
    return cast(Backend, importlib.import_module(f"runtime.{name}").load(bundle, options))


def installed() -> list[str]:
    """The backends whose package is there, the fastest first."""
    return [name for name, package in NEEDS.items() if _there(package)]


def _there(package: str) -> bool:
    """Whether it can be imported; a folder of type stubs is a package without an origin."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
