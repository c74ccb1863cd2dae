"""A student of attributes through the same export: its weights are inputs of the graphs, on every backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from models import folder
from models.pipeline import Pipeline
from runtime import available, backend, networks, prompts, shards, tokenize
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.signature import COMPONENTS
from tests import tiny
from tests.runtime.test_backend import DEPLOYED, ROOT

ASKED = [Request({"Ape": 1, "Fez": 2.5}, 7), Request("Man, Pipe=0.5", 0), Request(["Man"], 3), Request("", 5)]
weight = st.floats(0, 3, width=32)
wanted = st.fixed_dictionaries({}, optional={"Man": weight, "Fez": weight, "Pipe": weight})


@pytest.fixture(scope="module")
def composed(attribute_bundle: Path) -> Bundle:
    return open_bundle(attribute_bundle)


@pytest.fixture(scope="module")
def drawn_from(attribute_bundle: Path) -> Pipeline:
    return folder.load(attribute_bundle)


def test_the_manifest_lists_the_slots_in_the_order_of_the_weights(composed: Bundle) -> None:
    manifest = composed.manifest
    assert (manifest.task, manifest.inputs, manifest.tokens) == ("attributes-to-image", ("attributes",), 6)
    assert list(manifest.slots.items()) == list(tiny.SLOTS.items())
    assert manifest.parity["ort"]["psnr"] > 35, "random, but its weights reach the images alike"


def test_the_graphs_take_weights(composed: Bundle) -> None:
    for name, others in (("conditioner", []), ("one_step", ["noise"])):
        graph = onnx.load(str(composed.graph(name)), load_external_data=False).graph
        assert [value.name for value in graph.input] == ["weights", *others]
        kind = graph.input[0].type.tensor_type
        assert kind.elem_type == onnx.TensorProto.FLOAT and kind.shape.dim[1].dim_value == 6


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_images_are_those_of_the_pipeline(name: str, steps: int, composed: Bundle, drawn_from: Pipeline) -> None:
    expected = drawn_from.generate([r.input for r in ASKED], [r.seed for r in ASKED], steps)
    found = Generator(composed, backend.load(name, composed, BackendOptions(threads=1))).generate(ASKED, steps)
    assert np.abs(found.astype(int) - expected).max() <= (12 if name == "openvino" else 2)  # bf16 where the CPU has it


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_graph_is_its_network_at_a_batch_it_was_not_traced_at(
    name: str, composed: Bundle, drawn_from: Pipeline
) -> None:
    inputs = {key: value.numpy() for key, value in networks.examples(drawn_from, 5)[name].items()}
    ort, eager = (
        backend.load(runner, composed, BackendOptions(threads=1)).run(name, inputs) for runner in ("ort", "eager")
    )
    np.testing.assert_allclose(ort, eager, atol=2e-2 * np.abs(eager).max())


def test_one_pass_honours_weights(composed: Bundle) -> None:
    generator = Generator(composed, backend.load("ort", composed, BackendOptions(threads=1)))
    drawn = [generator.generate([Request({"Ape": 1, "Fez": weight}, 3)]) for weight in (0, 0.5, 1, 3)]
    assert len({image.tobytes() for image in drawn}) == 4
    assert np.array_equal(drawn[0], generator.generate([Request("Ape", 3)]))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.one_of(wanted, st.just(""), st.just(["Ape", "Crown"])), min_size=1, max_size=5))
def test_weights_are_those_of_the_conditioner(composed: Bundle, drawn_from: Pipeline, asked: list[object]) -> None:
    expected = drawn_from.conditioner.tokenize(asked).numpy()  # type: ignore[operator]
    found = tokenize.load(composed).ids(asked)  # type: ignore[arg-type]
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"Crwon": 1}, "attribute 'Crwon' is unknown; did you mean 'Crown'"),
        ("Cap, Fez", "attributes 'Cap' and 'Fez' exclude each other: one hat at most"),
        ({"Cap": 3.5}, "weight 3.5 of attribute 'Cap' is refused; accepted: 0 to 3"),
        (4, "attributes must be weights by name, names, or text"),
    ],
)
def test_what_is_no_attribute_is_refused_in_one_line(composed: Bundle, refused: object, message: str) -> None:
    generator = Generator(composed, backend.load("ort", composed, BackendOptions(threads=1)))
    with pytest.raises(BadInput, match=message):
        generator.generate([Request(refused, 0)])  # type: ignore[arg-type]


def test_the_deployed_path_draws_attributes_without_torch(attribute_bundle: Path) -> None:
    program = DEPLOYED.replace('Request("a cat", 7)', 'Request({"Ape": 1, "Fez": 2.5}, 7)')
    command = [sys.executable, "-c", program, str(attribute_bundle)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_table_of_attributes_is_drawn_in_bulk(composed: Bundle, tmp_path: Path) -> None:
    (tmp_path / "wanted.csv").write_text('attributes,seed\n"Ape, Fez=2.5",7\nMan,1\n')
    generator = Generator(composed, backend.load("ort", composed, BackendOptions(threads=1)))
    requests = shards.requests_of(prompts.read(tmp_path / "wanted.csv"), 0)
    shards.job_of(generator, requests, 1, "png", 2, 2)
    assert np.array_equal(generator.generate(requests[:1]), generator.generate(ASKED[:1]))
    (tmp_path / "wanted.txt").write_text("Ape, Hat\n")
    with pytest.raises(BadInput, match="image 1: attribute 'Hat' is unknown"):
        shards.job_of(generator, shards.requests_of(prompts.read(tmp_path / "wanted.txt"), 0), 1, "png", 2, 2)
