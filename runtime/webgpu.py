"""ONNX Runtime's WebGPU provider, any vendor's GPU: where it comes from and what it refuses; it knows no graph.

It comes with `onnxruntime-webgpu`, a build of ONNX Runtime, or as a plug-in beside plain ONNX Runtime, which users install.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import onnxruntime

from base.errors import BadInput

PROVIDER, PLUGIN = "WebGpuExecutionProvider", "onnxruntime_ep_webgpu"
NO_F16 = "requires f16"
"""What the provider says of an fp16 graph on a GPU whose shaders have no 16-bit floats."""


def check() -> None:
    """BadInput: the provider is not installed, or finds no GPU."""
    if _built_in():
        return
    if find_spec(PLUGIN) is None:
        raise BadInput(f"this ONNX Runtime has no {PROVIDER}: pip install 'ippo[webgpu]'; accepted here: auto, cpu")
    if not _devices():
        raise BadInput(
            "WebGPU finds no GPU here (on Linux it needs libvulkan1 and the GPU's driver); accepted here: auto, cpu"
        )


def providers(options: onnxruntime.SessionOptions) -> list[str]:
    """The `providers` of a session; a plug-in goes into its `options` instead."""
    if _built_in():
        return [PROVIDER]
    options.add_provider_for_devices(_devices()[:1], {})
    return []


@contextmanager
def refusals(graph: str) -> Iterator[None]:
    """BadInput: what the provider raises while it opens or runs `graph`."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # ONNX Runtime's have no base but this
        if NO_F16 in str(error):
            raise BadInput(
                "this GPU has no 16-bit floats for WebGPU: export the model with --precision fp32"
            ) from error
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadInput(f"WebGPU does not run {graph}: {line}") from error


def _built_in() -> bool:
    return PROVIDER in onnxruntime.get_available_providers() and find_spec(PLUGIN) is None


@cache
def _devices() -> list[Any]:
    """What the plug-in offers, which is registered once a process: one device, or none where there is no GPU."""
    onnxruntime.register_execution_provider_library(PLUGIN, importlib.import_module(PLUGIN).get_library_path())
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
