"""The layers that NVIDIA's builder lists, counted; `make edge` builds engines of full size."""

from __future__ import annotations

import json

import pytest

from benchmarks.child import last_object
from benchmarks.size import edge_engines

LOG = """\
Layers:
Name: __mye1_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, Metadata: \x20
Name: conv_myl0_2, LayerType: correlation, Inputs: [ { Name: x } ], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: conv]
Name: _gemm_mha_v2_myl0_3, LayerType: kgen, Inputs: [], Metadata: [ONNX Layer: node_Softmax_1][ONNX Layer: MatMul_2]
Name: inor, LayerType: kgen, Inputs: [], Metadata: [ONNX Layer: node_InstanceNormalization_84][ONNX Layer: node_Cast_856]
"""


def test_layers_of_the_builders_log_are_counted() -> None:
    assert edge_engines.layers(["Engine generation completed in 1 seconds.", *LOG.split("\n\n")]) == {
        "layers of the engine": 4,
        "kinds": "2 kgen, 1 shape_call, 1 correlation",
        "layers of a whole attention": 1,
        "layers with softmax": 1,
        "layers with a norm": 1,
    }
    assert edge_engines.layers([])["layers of the engine"] == 0


@pytest.mark.slow
def test_a_small_one_is_written_and_built(tmp_path: object) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    folder = str(tmp_path)
    last_object("benchmarks.size.edge_engines", "write", "tiny decoder", folder, "--small")
    row = last_object("benchmarks.size.edge_engines", "build", "tiny decoder", folder)
    assert json.dumps(row) and row["layers of the engine"] > 10 and row["engine MB"] > 0.1
    assert 0 < row["peak GB"] <= edge_engines.MEMORY_GB
