"""The split graphs against torch, and where their weights lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.numpy import load_file

from base.safetensors_head import read_head
from export import graphs, parity
from export.parity import relative_error
from models import folder as folders
from models.pipeline import Pipeline
from runtime import networks
from runtime.backend import Backend
from runtime.bundle import Bundle
from runtime.signature import COMPONENTS, FUSED, WIDE_OPERATORS
from tests import tiny

GRAPHS = [*COMPONENTS, FUSED]


@pytest.mark.parametrize("batch, scale", [(1, 1), (5, 1), (2, 3)])
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_graph_is_its_network_at_batches_and_sizes_it_was_not_traced_at(
    name: str, batch: int, scale: int, backends: dict[str, Backend], pipeline: Pipeline
) -> None:
    inputs = {key: value.numpy() for key, value in networks.examples(pipeline, batch, scale)[name].items()}
    expected = backends["eager"].run(name, inputs)
    found = backends["ort"].run(name, inputs)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert relative_error(found, expected) < 2e-3  # both have the same fp16 weights


@pytest.mark.parametrize("name", GRAPHS)
def test_every_parameter_is_the_tensor_in_the_safetensors_file(name: str, bundle: Bundle) -> None:
    graph = onnx.load(str(bundle.graph(name)), load_external_data=False).graph
    inside = sum(tensor.ByteSize() for tensor in graph.initializer if not tensor.external_data)
    assert inside < 50_000  # small constants only: no second copy
    external = [tensor for tensor in graph.initializer if tensor.external_data]
    assert external
    for tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        places = read_head(bundle.graph(name).parent / entries["location"]).spans
        key = tensor.name.split("/")[-1]
        assert places[key] == (int(entries["offset"]), int(entries["length"]))
        assert tensor.data_type == TensorProto.FLOAT16


def test_the_graphs_hold_every_tensor_of_the_weights(bundle: Bundle, pipeline: Pipeline) -> None:
    for part, weights in folders.weights(pipeline).items():
        read: dict[str, np.ndarray] = {}
        for name, signature in COMPONENTS.items():
            if signature.part == part:
                graph = onnx.load(str(bundle.graph(name))).graph
                read |= {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for name, tensor in load_file(bundle.folder / weights).items():
            np.testing.assert_array_equal(read[name], tensor)


@pytest.mark.parametrize("name", GRAPHS)
def test_fragile_operators_compute_in_float32(name: str, bundle: Bundle) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(str(bundle.graph(name)), load_external_data=False))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    fragile = [node for node in model.graph.node if node.op_type in WIDE_OPERATORS]
    assert {node.op_type for node in fragile} & {"InstanceNormalization", "LayerNormalization"}
    assert {types[node.output[0]] for node in fragile} == {TensorProto.FLOAT}
    assert TensorProto.FLOAT16 in types.values()


@pytest.mark.parametrize("name", GRAPHS)
def test_no_note_of_the_exporter_stays(name: str, bundle: Bundle) -> None:
    assert b"site-packages" not in bundle.graph(name).read_bytes()


def test_a_network_beyond_fp16_gets_a_wide_graph(tmp_path: Path) -> None:
    big = tiny.student()
    with torch.no_grad():
        big.autoencoder.vae.decoder.mid_block.resnets[0].conv2.weight.mul_(1e4)
        big.autoencoder.vae.decoder.mid_block.resnets[1].conv2.weight.mul_(1e4)
        big.autoencoder.vae.decoder.mid_block.attentions[0].to_out[0].weight.mul_(2e5)
    folders.save(big, tmp_path / "b", torch.float16)
    network = networks.components(big)["decoder"]
    expected = parity.reference("decoder", network, big)
    assert not parity.fits_fp16(expected.largest_activation)
    weights = tmp_path / "b" / folders.weights(big)["autoencoder"]
    file = graphs.write("decoder", network, networks.examples(big, 2)["decoder"], weights, wide=True)
    assert file == tmp_path / "b" / "vae" / "model.onnx"
    assert parity.component("decoder", expected, file)["relative_error"] < 1e-2
    graph = onnx.load(str(file), load_external_data=False).graph
    assert all(tensor.data_type == TensorProto.FLOAT16 for tensor in graph.initializer if tensor.external_data)
    assert not [node for node in graph.node for a in node.attribute if a.name == "to" and a.i == TensorProto.FLOAT16]
