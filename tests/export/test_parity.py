"""The gate lets through what it should, and nothing else."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from export import gate, parity
from models.pipeline import Pipeline
from runtime import networks
from runtime.bundle import Bundle


@given(st.floats(1e-6, 0.5))
def test_relative_error_is_relative(size: float) -> None:
    expected = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert parity.relative_error(expected * (1 + size), expected) == pytest.approx(size, rel=1e-6)
    assert parity.relative_error(expected * 1000, expected * 1000) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_anything_but_finite_numbers_is_no_number(bad: float) -> None:
    good, spoilt = np.ones(3), np.array([1.0, bad, 1.0])
    assert math.isnan(parity.relative_error(spoilt, good)) and math.isnan(parity.relative_error(good, spoilt))


def test_a_graph_of_other_weights_fails_and_is_named(bundle: Bundle, pipeline: Pipeline) -> None:
    right = networks.components(pipeline)["conditioner"]
    expected = parity.reference("conditioner", right, pipeline)
    assert parity.component("conditioner", expected, bundle.graph("conditioner"))["relative_error"] < 2e-3
    other = copy.deepcopy(right)
    with torch.no_grad():
        next(other.parameters()).mul_(1.5)
    with pytest.raises(BadInput, match="conditioner failed the parity gate: relative error"):
        parity.component("conditioner", parity.reference("conditioner", other, pipeline), bundle.graph("conditioner"))


def test_every_layer_is_listened_to(pipeline: Pipeline) -> None:
    network = copy.deepcopy(networks.components(pipeline)["decoder"])
    before = parity.reference("decoder", network, pipeline).largest_activation
    assert 1 < before < 1000 and parity.fits_fp16(before)
    with torch.no_grad():
        network.network.vae.decoder.conv_in.weight.mul_(1e6)  # the norms behind it hide this from the output
    after = parity.reference("decoder", network, pipeline)
    assert not parity.fits_fp16(after.largest_activation)
    assert np.abs(after.cases["1x16x16"][1][0]).max() < 10
    assert not parity.fits_fp16(math.nan)


def test_the_bar_for_images() -> None:
    gate.require_psnr("ort", {"psnr": 35.0})
    with pytest.raises(BadInput, match=r"one_step on ort failed the parity gate: 34.9 dB .* accepted 35 dB"):
        gate.require_psnr("ort", {"psnr": 34.94})
