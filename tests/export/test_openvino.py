"""OpenVINO's plans and precision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from export.bundle import Bundle
from export.openvino import BATCHES, OpenVinoBackend, _pieces, has_bf16


def _with_psnr(bundle: Bundle, psnr: float) -> Bundle:
    parity = {**bundle.manifest.parity, "openvino_bf16": {"psnr": psnr}}
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"parity": parity}))


def test_bf16_only_where_the_bundle_stood_it(bundle: Bundle) -> None:
    assert OpenVinoBackend(_with_psnr(bundle, 34.9)).precision == "f32"
    assert OpenVinoBackend(_with_psnr(bundle, 35.1)).precision == ("bf16" if has_bf16() else "f32")
    assert OpenVinoBackend(_with_psnr(bundle, 34.9), precision="bf16").precision == "bf16"
    never = bundle.manifest.model_copy(update={"parity": {}})
    assert OpenVinoBackend(dataclasses.replace(bundle, manifest=never)).precision == "f32"


@pytest.mark.parametrize("total", [1, 2, 3, 5, 8, 9, 21])
def test_batches_are_padded_to_plans_and_nothing_is_lost(total: int) -> None:
    rows = np.arange(total)[:, None]
    pieces = list(_pieces({"sample": rows, "timestep": np.array(999)}))
    assert all(len(inputs["sample"]) in BATCHES and inputs["timestep"] == 999 for inputs, _ in pieces)
    kept = np.concatenate([inputs["sample"][:count] for inputs, count in pieces])
    np.testing.assert_array_equal(kept, rows)
