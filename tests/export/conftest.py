"""The tiny bundle opened, its pipeline in torch, and one backend of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import backend
from export.backend import Backend, Options
from export.bundle import Bundle, open_bundle
from models import folder
from models.pipeline import Pipeline


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
    from export.openvino import OpenVinoBackend  # not everywhere where there is a GPU

    loaded = {name: backend.load(name, bundle, threads=1) for name in ("ort", "eager")}
    loaded["openvino"] = OpenVinoBackend(bundle, Options(threads=1), precision="f32")
    loaded["openvino_bf16"] = OpenVinoBackend(bundle, Options(threads=1), precision="bf16")
    return loaded
