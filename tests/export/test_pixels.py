"""The pixel family through the same export: graphs, backends, the deployed path, its manifest."""

from __future__ import annotations

import dataclasses
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
from runtime import available, backend, networks, tokenize
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.signature import COMPONENTS
from tests import tiny
from tests.runtime.test_backend import DEPLOYED, ROOT

ASKED = [Request("blue", 7), Request(3, 0), Request("", 5)]


@pytest.fixture(scope="module")
def pixels(pixel_bundle: Path) -> Bundle:
    return open_bundle(pixel_bundle)


@pytest.fixture(scope="module")
def drawn_from(pixel_bundle: Path) -> Pipeline:
    return folder.load(pixel_bundle)


def test_the_manifest_says_what_is_asked_for_and_where_the_graphs_lie(pixels: Bundle) -> None:
    manifest = pixels.manifest
    assert (manifest.task, manifest.inputs, manifest.classes) == ("class-to-image", ("label",), tiny.CLASSES)
    assert (manifest.tokens, manifest.latent_shape, manifest.sizes) == (1, (1, 8, 8), ((16, 16),))
    assert manifest.graphs["conditioner"] == "conditioner/model.onnx"
    assert manifest.graphs["denoiser"] == "unet/model.onnx"
    assert set(manifest.graphs) == {*COMPONENTS, "one_step"}


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_images_are_those_of_the_pipeline(name: str, steps: int, pixels: Bundle, drawn_from: Pipeline) -> None:
    expected = drawn_from.generate([r.input for r in ASKED], [r.seed for r in ASKED], steps)
    generator = Generator(pixels, backend.load(name, pixels, BackendOptions(threads=1)))
    found = generator.generate(ASKED, steps)
    assert found.shape == (3, 16, 16, 3)
    assert np.abs(found.astype(int) - expected).max() <= (12 if name == "openvino" else 2)  # bf16 where the CPU has it


@pytest.mark.parametrize("batch, scale", [(1, 1), (5, 1), (2, 3)])
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_graph_is_its_network_at_batches_and_sizes_it_was_not_traced_at(
    name: str, batch: int, scale: int, pixels: Bundle, drawn_from: Pipeline
) -> None:
    inputs = {key: value.numpy() for key, value in networks.examples(drawn_from, batch, scale)[name].items()}
    ort, eager = (
        backend.load(runner, pixels, BackendOptions(threads=1)).run(name, inputs) for runner in ("ort", "eager")
    )
    assert ort.shape == eager.shape
    np.testing.assert_allclose(ort, eager, atol=2e-2 * np.abs(eager).max())


def test_the_identity_has_graphs_but_no_weights(pixels: Bundle) -> None:
    assert [name for name in pixels.manifest.files if name.startswith("autoencoder/")] == [
        "autoencoder/config.json",
        "autoencoder/encoder.onnx",
        "autoencoder/model.onnx",
    ]
    graph = onnx.load(str(pixels.graph("decoder"))).graph
    assert not [tensor for tensor in graph.initializer if tensor.external_data]


def test_without_classes_whatever_is_asked_is_the_same(unconditional_bundle: Path) -> None:
    bundle = open_bundle(unconditional_bundle)
    generator = Generator(bundle, backend.load("ort", bundle, BackendOptions(threads=1)))
    first, second = generator.generate([Request("", 3), Request("anything", 3)])
    assert (bundle.manifest.task, bundle.manifest.inputs) == ("unconditional-image-generation", ())
    assert np.abs(first.astype(int) - second).max() <= 1


def test_the_deployed_path_draws_labels_without_torch(pixel_bundle: Path) -> None:
    program = DEPLOYED.replace('Request("a cat", 7)', 'Request("blue", 7)')
    command = [sys.executable, "-c", program, str(pixel_bundle)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(st.sampled_from([*tiny.CLASSES, 0, 1, 2, 3, "", "2"]), min_size=1, max_size=5))
def test_ids_are_those_of_the_conditioner(pixels: Bundle, drawn_from: Pipeline, labels: list[str | int]) -> None:
    expected = drawn_from.conditioner.tokenize(labels).numpy()  # type: ignore[operator]
    found = tokenize.load(pixels).ids(labels)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_an_unknown_label_or_task_is_refused_in_one_line(pixels: Bundle, bundle: Bundle) -> None:
    generator = Generator(pixels, backend.load("ort", pixels, BackendOptions(threads=1)))
    with pytest.raises(BadInput, match="label 4 is out of range; accepted: 0 to 3"):
        generator.generate([Request(4, 0)])
    with pytest.raises(BadInput, match="a prompt must be text, got 4"):
        tokenize.load(bundle).ids([4])
    strange = pixels.manifest.model_copy(update={"task": "text-to-video"})
    with pytest.raises(BadInput, match="unknown task 'text-to-video'; did you mean 'text-to-image'"):
        tokenize.load(dataclasses.replace(pixels, manifest=strange))
