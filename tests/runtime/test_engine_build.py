"""NVIDIA's own parser and builder, on a CPU: they take every graph of every family, with the types that ippo gave it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from onnx import TensorProto, helper, save

from base.errors import BadInput
from base.shipped import ROOT
from export import graphs
from models import folder
from runtime import engine_build, networks
from runtime.bundle import Bundle, open_bundle
from runtime.engine_build import EngineOptions
from runtime.signature import INPUT_AXES
from tests import tiny
from tests.nvidia import GPUS, IN_FP16, check_graphs

api = pytest.importorskip("tensorrt_rtx_bindings")
SHIPPED = ["digits", "avatars", "emoji"]
ALL = ("conditioner", "denoiser", "decoder", "encoder", "one_step")


def shipped(name: str) -> Bundle:
    return open_bundle(ROOT / "models" / "pretrained" / name / "student")


@pytest.mark.parametrize(
    "name, built", [("digits", ["one_step", "encoder"]), ("avatars", ["denoiser"]), ("emoji", ["encoder"])]
)
def test_every_graph_that_ships_is_taken(name: str, built: Collection[str]) -> None:
    check_graphs(shipped(name), built)


def test_the_fused_graph_of_emoji_is_little_more_than_its_weights() -> None:
    bundle = shipped("emoji")
    weights = sum(
        (bundle.folder / name).stat().st_size for name in bundle.manifest.files if name.endswith(".safetensors")
    )
    assert len(check_graphs(bundle, ["one_step"])["one_step"]) <= 1.7 * weights


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_graph_that_ships_is_built(name: str) -> None:
    assert set(check_graphs(shipped(name), ALL)) == set(ALL)


def test_every_graph_of_a_tiny_latent_student_is_built(bundle: Bundle) -> None:
    assert set(check_graphs(bundle, ALL)) == set(ALL)


@pytest.mark.slow
def test_the_denoiser_of_stable_diffusion_2_is_built(tmp_path: Path) -> None:
    """Its projections are linear, and heads have one width."""
    torch.manual_seed(0)
    known = {key: value for key, value in tiny.unet().config.items() if key[0] != "_"}
    student = tiny.student()
    student.denoiser = UNet2DConditionModel(
        **{**known, "use_linear_projection": True, "attention_head_dim": [2, 4]}
    ).eval()
    folder.save(student, tmp_path, torch.float16)
    weights = tmp_path / folder.weight_files(student)["denoiser"][0]
    network, example = networks.components(student)["denoiser"], networks.examples(student, 2)["denoiser"]
    graph = graphs.write("denoiser", network, example, weights)
    axes = {name: INPUT_AXES["denoiser"][name] for name in example}
    parsed = engine_build.parse(api, graph, axes).network
    types = engine_build.layer_types(parsed)
    assert {kind for name, kind in types if name in IN_FP16} == {"HALF"}
    plans = [[{"batch": batch, "height": 4, "width": 4} for batch in (1, 4)]]
    assert len(engine_build.build(api, graph, axes, EngineOptions(plans, GPUS))) > 1e6


def test_every_graph_of_a_student_without_inputs_is_built(unconditional_bundle: Path) -> None:
    check_graphs(open_bundle(unconditional_bundle), ALL)


def test_static_profiles_and_measured_tactics_are_what_trt_builds_with(tmp_path: Path) -> None:
    bundle, timings = shipped("emoji"), tmp_path / "timings"
    graph, axes = bundle.graph("encoder"), bundle.input_axes("encoder")
    plans = [[plan] for plan in bundle.plans("encoder", (1, 4))]
    options = EngineOptions(plans, GPUS, level=4, timings=timings, described=True)
    assert len(engine_build.build(api, graph, axes, options)) > 1e5
    assert timings.is_file()
    layers = [line for _, line in engine_build.build_log(api).lines if "LayerType: " in line]
    assert any("LayerType: correlation" in line for line in layers)


def written(folder: Path, *nodes: object, kind: int = TensorProto.FLOAT, output: int = TensorProto.FLOAT) -> Path:
    """`sample (N, 3, H, W)` → `y`, of these nodes."""
    shape = ["batch", 3, "image_height", "image_width"]
    value, result = (
        helper.make_tensor_value_info("sample", kind, shape),
        helper.make_tensor_value_info("y", output, None),
    )
    graph = helper.make_graph(list(nodes), "g", [value], [result])  # type: ignore[arg-type]
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "g.onnx")
    return folder / "g.onnx"


AXES = {"sample": {0: "batch", 2: "image_height", 3: "image_width"}}


def test_uint8_inside_of_a_graph_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["sample"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["y"], perm=[0, 2, 3, 1]),
    ]
    with pytest.raises(BadInput, match=r"cannot read g\.onnx: .*UINT8"):
        engine_build.parse(api, written(tmp_path, *nodes, output=TensorProto.UINT8), AXES)


def test_an_operator_that_tensorrt_has_not_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "ippo")
    graph = written(tmp_path, helper.make_node("StringNormalizer", ["sample"], ["y"]))
    with pytest.raises(BadInput, match=r"^TensorRT \d.* cannot read g\.onnx: .*StringNormalizer") as refused:
        engine_build.build(api, graph, AXES, EngineOptions([], GPUS))
    assert "\n" not in str(refused.value) and not caplog.records  # the line says it all


def test_an_input_that_ippo_does_not_give_is_refused(tmp_path: Path) -> None:
    graph = written(tmp_path, helper.make_node("Identity", ["sample"], ["y"]))
    with pytest.raises(BadInput, match=r"^g\.onnx takes sample; this ippo knows image$"):
        engine_build.parse(api, graph, {"image": {}})
