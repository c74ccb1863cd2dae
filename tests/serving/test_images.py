"""Encoding: what comes out decodes to what went in and says where it came from."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.noise import MAX_SEED
from serving.config import Format
from serving.images import Provenance, encode

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
SMOOTH = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (24, 32, 3))
CAT = Provenance({"prompt": "a cat"}, 7, 1, "tiny")


def _decode(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def test_png_is_lossless() -> None:
    np.testing.assert_array_equal(np.asarray(_decode(encode(NOISE, "png", CAT))), NOISE)


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lossy_formats_stay_close_and_shrink_with_quality(format: Format) -> None:
    decoded = np.asarray(_decode(encode(SMOOTH, format, CAT)).convert("RGB"), np.int16)
    assert np.abs(decoded - SMOOTH).mean() < 6
    assert len(encode(NOISE, format, CAT, 10)) < len(encode(NOISE, format, CAT, 95))


@settings(max_examples=40, deadline=None)
@given(prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), seed=st.integers(0, MAX_SEED))
def test_provenance_survives_in_every_format(prompt: str, seed: int) -> None:
    provenance = Provenance({"prompt": prompt}, seed, 2, "tiny")
    told = _decode(encode(SMOOTH, "png", provenance)).info
    assert (told["prompt"], told["seed"], told["steps"], told["model"]) == (prompt, str(seed), "2", "tiny")
    for format in ("jpeg", "webp"):
        told = json.loads(_decode(encode(SMOOTH, format, provenance)).getexif()[0x010E])
        assert (told["prompt"], told["seed"], told["steps"], told["model"]) == (prompt, seed, 2, "tiny")


def test_same_input_same_bytes() -> None:
    assert encode(NOISE, "png", CAT) == encode(NOISE.copy(), "png", CAT)
