"""The fused one-step graph: the same images as the split graphs, the same arithmetic as the sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from export import fused
from models import noise, sampling
from models.pixel_tensors import to_uint8
from models.schedule import STUDENT_TIMESTEPS
from runtime import available
from runtime.backend import Backend
from runtime.bundle import Bundle
from runtime.generator import Generator

PREDICTIONS = ["v_prediction", "epsilon", "sample"]


@pytest.mark.parametrize("name, most", [("eager", 0), ("openvino", 1), ("ort", 1)])  # they fuse other operators
def test_fused_and_split_draw_the_same_image(
    name: str, most: int, bundle: Bundle, backends: dict[str, Backend]
) -> None:
    generator = Generator(bundle, backends[name])
    given = generator.tokenizer.arrays(["a cat"])
    drawn = noise.gaussian([1], 1, bundle.manifest.latent_shape)
    one, split = generator._one_step(given, drawn[0]), generator._split(given, drawn, STUDENT_TIMESTEPS[1])
    assert np.abs(one.astype(int) - split).max() <= most
    assert one.std() > 1


@pytest.mark.parametrize("name", available.installed("cpu"))
def test_other_sizes_run_too(name: str, bundle: Bundle, backends: dict[str, Backend]) -> None:
    channels, height, width = bundle.manifest.latent_shape
    drawn = noise.gaussian([1], 1, (channels, height * 2, width * 3))[0]
    ids = Generator(bundle, backends[name]).tokenizer.ids(["a cat"])
    assert backends[name].run("one_step", {"input_ids": ids, "noise": drawn}).shape == (1, 32, 48, 3)


def _run(tape: fused.Tape, result: str, kind: int, **inputs: Any) -> Any:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in inputs.items()]
    graph = helper.make_graph(
        tape.nodes, "g", values, [helper.make_tensor_value_info(result, kind, None)], tape.constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)[0]


@pytest.mark.parametrize("prediction", PREDICTIONS)
@settings(max_examples=25, deadline=None)
@given(angle=st.floats(0.05, 1.5))
def test_the_sampler_itself_writes_the_graph(prediction: Any, angle: float) -> None:
    sample, output = np.random.default_rng(0).standard_normal((2, 1, 3, 2, 2), dtype=np.float32)
    alpha, sigma = float(np.cos(angle)), float(np.sin(angle))
    tape = fused.Tape()
    x0 = sampling.to_x0(fused.Symbol(tape, "sample"), fused.Symbol(tape, "output"), alpha, sigma, prediction)
    done = tape.apply("Identity", x0.name)
    expected = sampling.to_x0(sample, output, alpha, sigma, prediction)
    found = _run(tape, done.name, TensorProto.FLOAT, sample=sample, output=output)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.floats(-2, 2, width=32), st.integers(-1, 256).map(lambda n: n / 127.5 - 1)), min_size=3))
def test_pixels_round_as_the_pipeline_rounds_them(values: list[float]) -> None:
    images = np.resize(np.array(values, np.float32), (1, 3, len(values), 2))
    tape = fused.Tape()
    fused._to_uint8(fused.Symbol(tape, "x"))
    found = _run(tape, "images", TensorProto.UINT8, x=images)
    np.testing.assert_array_equal(found, to_uint8(torch.from_numpy(images)))
