"""Fewer operators, the same values."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from diffusers import AutoencoderTiny
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from export import graphs
from export.parity import relative_error
from export.simplify import Doubled, simplify
from models.latent_autoencoder import latent_autoencoder
from models.pipeline import Pipeline
from runtime import graph_networks
from runtime.bundle import Bundle


def tiny_decoder(last: int, channels: int = 8) -> AutoencoderTiny:
    """Two doublings; `last` blocks at the size of the image."""
    torch.manual_seed(0)
    widths = {"encoder_block_out_channels": [8] * 3, "decoder_block_out_channels": [channels] * 3}
    blocks = {"num_encoder_blocks": [1] * 3, "num_decoder_blocks": [1, 1, last]}
    return AutoencoderTiny(latent_channels=4, **widths, **blocks).eval()


@settings(max_examples=30, deadline=None)
@given(
    inputs=st.integers(1, 6),
    between=st.integers(1, 6),
    outputs=st.integers(1, 4),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_doubled_pixels_and_two_convolutions_are_what_they_were_up_to_the_border(
    inputs: int, between: int, outputs: int, height: int, width: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    first = nn.Conv2d(inputs, between, 3, padding=1, bias=False)
    last = nn.Conv2d(between, outputs, 3, padding=1, bias=bias)
    features = torch.randn(2, inputs, height, width)
    with torch.no_grad():
        expected = nn.Sequential(nn.Upsample(scale_factor=2), first, last)(features)
        torch.testing.assert_close(Doubled(first, last)(features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("last, simpler", [(0, True), (1, False)])
def test_only_a_decoder_that_is_linear_at_its_end_is_changed(last: int, simpler: bool) -> None:
    vae = tiny_decoder(last)
    same, latents = copy.deepcopy(vae), torch.randn(2, 4, 3, 5)
    simplify(same)
    assert any(isinstance(layer, Doubled) for layer in same.modules()) is simpler
    with torch.no_grad():
        torch.testing.assert_close(same.decode(latents).sample, vae.decode(latents).sample, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_graph_of_such_a_decoder_is_its_network_and_leaves_the_weights_alone(
    precision: graphs.Precision, tmp_path: Path
) -> None:
    vae = tiny_decoder(0).to(graphs.STORED[precision])
    vae.save_pretrained(tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    before, decoder = weights.read_bytes(), graph_networks.DecoderGraph(latent_autoencoder(vae.float()))
    path = graphs.write("decoder", decoder, {"latent_sample": torch.randn(2, 4, 4, 4)}, weights, precision=precision)
    assert "DepthToSpace" in {node.op_type for node in onnx.load(str(path), load_external_data=False).graph.node}
    assert weights.read_bytes() == before
    latents = torch.randn(3, 4, 6, 2)
    with torch.no_grad():
        expected = decoder(latents).numpy()
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"latent_sample": latents.numpy()})
    assert relative_error(found, expected) < 2e-3


def test_the_text_encoders_attention_has_no_guard_and_the_pipeline_keeps_its_own(
    bundle: Bundle, pipeline: Pipeline
) -> None:
    nodes = onnx.load(str(bundle.graph("conditioner")), load_external_data=False).graph.node
    assert "Softmax" in {node.op_type for node in nodes} and "IsNaN" not in {node.op_type for node in nodes}
    assert pipeline.conditioner.text_encoder.config._attn_implementation == "sdpa"  # type: ignore[union-attr]
