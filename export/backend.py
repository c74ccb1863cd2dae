"""Who runs the graphs of a bundle, chosen by name; it knows no runtime: `ort` is `export/ort.py`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from export.bundle import Bundle
from models.config import nearest
from models.errors import BadInput

NEEDS = {"openvino": "openvino", "ort": "onnxruntime", "eager": "torch"}
"""Backend → the package that it needs; the order is `auto`'s order of preference, the fastest first."""
EXTRAS = {"openvino": "serve", "ort": "serve", "eager": "train"}


class Backend(Protocol):
    """Runs one graph at a time; not to be called by two threads at once."""

    name: str

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Inputs by name → the graph's one output."""


def load(name: str, bundle: Bundle, threads: int | None = None) -> Backend:
    """The backend `name`, or with `auto` the best that is installed; `threads=None` uses every core."""
    if name == "auto":
        name = next(iter(installed()), "ort")
    if name not in NEEDS:
        raise BadInput(f"unknown backend '{name}'{nearest(name, ['auto', *NEEDS])}")
    if name not in installed():
        raise BadInput(f"backend '{name}' is not installed: pip install 'ippo[{EXTRAS[name]}]'")
    return cast(Backend, importlib.import_module(f"export.{name}").load(bundle, threads))


def installed() -> list[str]:
    """The backends whose package is there, the fastest first."""
    return [name for name, package in NEEDS.items() if find_spec(package) is not None]
