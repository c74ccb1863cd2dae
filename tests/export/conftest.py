"""The tiny bundle opened, its pipeline in torch, and one backend of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import backend
from export.backend import Backend, Options
from export.bundle import Bundle, open_bundle
from export.openvino import OpenVinoBackend, Precision
from models import folder
from models.pipeline import Pipeline

PRECISIONS: dict[str, Precision] = {"openvino": "f32", "openvino_bf16": "bf16"}


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="session")
def pipeline(tiny_bundle: Path) -> Pipeline:
    """The bundle's own fp16 weights, computing in float32."""
    return folder.load(tiny_bundle)


@pytest.fixture(scope="session")
def backends(bundle: Bundle) -> dict[str, Backend]:
    """By name; `openvino` computes in f32 here, `openvino_bf16` in bf16 where the CPU has it."""
    loaded = {name: backend.load(name, bundle, threads=1) for name in ("ort", "eager")}
    for name, precision in PRECISIONS.items():
        loaded[name] = OpenVinoBackend(bundle, Options(threads=1), precision=precision)
    return loaded
