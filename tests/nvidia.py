"""Graphs of a bundle held to NVIDIA's parser and builder, as every family's are."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from runtime.bundle import Bundle
from runtime.signature import COMPONENTS, FUSED

GPUS = ["sm86", "sm120"]
IN_FP16, IN_FP32 = {"CONVOLUTION", "MATRIX_MULTIPLY"}, {"NORMALIZATION", "SOFTMAX"}
GIVEN = {"input_ids": "INT64", "timestep": "INT64"}
"""Inputs that are no float32."""


def check_graphs(bundle: Bundle, built: Collection[str]) -> dict[str, bytes]:
    """Parse every graph, its types as ippo wrote them, and build some, for two GPUs and all plans: name → engine."""
    api = pytest.importorskip("tensorrt_rtx_bindings")
    from runtime import rtx
    from runtime.engine_build import inputs, layer_types, parse

    for graph in bundle.manifest.graphs:
        network = parse(api, bundle.graph(graph), bundle.input_axes(graph)).network
        assert {value.name: value.dtype.name for value in inputs(network)} == {
            name: GIVEN.get(name, "FLOAT") for name in bundle.input_axes(graph)
        }
        assert network.get_output(0).dtype.name == ("UINT8" if graph == FUSED else "FLOAT")
        types = layer_types(network)
        wide = graph in bundle.manifest.wide or (graph == FUSED and bool(bundle.manifest.wide))
        assert {kind for name, kind in types if name in IN_FP16} <= {"HALF", *(["FLOAT"] if wide else [])}, graph
        assert {kind for name, kind in types if name in IN_FP32} <= {"FLOAT"}, graph
    assert set(built) <= {*COMPONENTS, FUSED}
    return {graph: rtx.built(bundle, graph, GPUS) for graph in built}
