"""int8 twins of the fused graph: who runs them, what is refused, what stays as it was."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from base.errors import BadInput
from export import quantize
from export.write_bundle import ExportOptions, export
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.ort import OrtBackend
from tests import backend_files

REQUESTS = [Request("a cat", 3), Request("two dogs", 4)]


@pytest.fixture(scope="module")
def quantised(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a twin for every runtime whose quantiser is installed."""
    with pytest.MonkeyPatch.context() as patch:
        if not find_spec("nncf"):
            backend_files.remove(patch, tmp_path_factory.mktemp("runtime"), "openvino")
        asked = ["a cat", "two dogs", "the sun"]
        out = tmp_path_factory.mktemp("int8") / "tiny"
        return export(str(tiny_student), out, ExportOptions(trained=False, precision="int8", calibration=asked))


@pytest.mark.slow
def test_the_twin_multiplies_int8(quantised: Bundle) -> None:
    assert quantised.manifest.precision == "int8"
    assert quantised.graph("one_step", "ort").name == "ort.onnx"
    assert quantised.graph("one_step").name == quantised.graph("one_step", "trt").name == "one_step.onnx"
    graph = onnx.load(str(quantised.graph("one_step", "ort")), load_external_data=False).graph
    kinds = [tensor.data_type for tensor in graph.initializer if tensor.name.startswith("denoiser/")]
    assert kinds.count(onnx.TensorProto.INT8) > 10
    assert not [
        t for t in graph.initializer if t.name.startswith("conditioner/") and t.data_type == onnx.TensorProto.INT8
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_images_are_nearly_the_same_and_the_loss_stands_beside_the_gain(
    name: str, quantised: Bundle, bundle: Bundle
) -> None:
    if name not in quantised.manifest.twins:
        pytest.skip("no nncf here")
    found, exact = (
        Generator(b, backend.load(name, b, BackendOptions(threads=1))).generate(REQUESTS) for b in (quantised, bundle)
    )
    assert 0 < np.abs(found.astype(int) - exact).mean() < 12
    figures = quantised.manifest.parity[f"{name}_int8"]
    assert figures["psnr"] < figures["psnr before"]
    assert figures["times as fast"] == pytest.approx(figures["ms before"] / figures["ms"])


@pytest.mark.slow
def test_more_steps_run_as_before(quantised: Bundle, bundle: Bundle) -> None:
    one, other = (
        Generator(b, OrtBackend(b, BackendOptions(threads=1))).generate(REQUESTS, 2) for b in (quantised, bundle)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_what_is_compiled_depends_on_the_twin_and_not_on_the_weights(quantised: Bundle) -> None:
    contents = quantised.contents("one_step", "ort")
    assert "int8/ort.onnx" in contents and not [name for name in contents if name.endswith(".safetensors")]
    assert set(quantised.contents("one_step", "trt")) > {"one_step.onnx"}
    assert {name for name in quantised.manifest.files if name.startswith("int8/ort")} == set(contents)


def test_a_twin_that_loses_too_much_is_refused() -> None:
    quantize.require("ort", {"psnr": 25.0})
    with pytest.raises(BadInput, match=r"one_step in int8 on ort failed the parity gate: 24\.9 dB .* accepted 25 dB"):
        quantize.require("ort", {"psnr": 24.9})


def test_a_quantiser_that_is_not_installed_names_the_extra(
    tiny_student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(quantize.QUANTISERS["openvino"], package="no_such_package")
    monkeypatch.setitem(quantize.QUANTISERS, "openvino", other)
    with pytest.raises(BadInput, match=r"int8 needs no_such_package: pip install 'ippo\[int8\]'"):
        export(str(tiny_student), tmp_path / "b", ExportOptions(precision="int8"))
    assert not list(tmp_path.iterdir())
