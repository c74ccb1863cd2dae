"""Encoding: what comes out decodes to what went in and says where it came from."""

from __future__ import annotations

import io
import json
import tomllib
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from base.errors import BadInput
from base.shipped import ROOT
from base.version import VERSION
from models.noise import MAX_SEED
from runtime.formats import Format
from runtime.images import decode, encode
from runtime.provenance import SOFTWARE, Provenance

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
SMOOTH = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (24, 32, 3))
CAT = Provenance({"prompt": "a cat"}, 7, 1, "tiny", "0" * 64)


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
    provenance = Provenance({"prompt": prompt}, seed, 2, "tiny", "1f")
    told = _decode(encode(SMOOTH, "png", provenance)).info
    assert (told["prompt"], told["seed"], told["steps"], told["model"]) == (prompt, str(seed), "2", "tiny")
    for format in ("jpeg", "webp"):
        told = json.loads(_decode(encode(SMOOTH, format, provenance)).getexif()[0x010E])
        assert (told["prompt"], told["seed"], told["steps"], told["model"]) == (prompt, seed, 2, "tiny")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_xmp_says_that_a_trained_algorithm_made_it(format: Format) -> None:
    xmp = _decode(encode(SMOOTH, format, Provenance({"prompt": "a <b> & ☃\x00"}, 7, 1, "tiny", "1f"))).info["xmp"]
    packet = ElementTree.fromstring(xmp)
    source = packet.find(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert source is not None
    assert source.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    told = packet.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")
    assert told is not None and json.loads(told.text or "")["prompt"] == "a <b> & ☃\x00"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_without_provenance_a_file_tells_nothing(format: Format) -> None:
    image = _decode(encode(SMOOTH, format, None))
    assert not {"prompt", "xmp", "exif", "software"} & set(image.info)


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"] and "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "base.version.VERSION"}
    assert f"ippo {VERSION}" == SOFTWARE == CAT.fields()["software"]


def test_pictures_of_clients_are_cut_to_size() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200
    file = encode(wide, "png", None)
    np.testing.assert_array_equal(decode(file, (10, 10)), np.full((10, 10, 3), 200))


def test_what_is_no_picture_or_a_huge_one_is_refused() -> None:
    for file in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", encode(NOISE, "png", CAT)[:-60]):
        with pytest.raises(BadInput, match=r"image (cannot be|is GIF, which is not) read; accepted: PNG, JPEG or WebP"):
            decode(file, (16, 16))
    bomb = io.BytesIO()
    Image.new("L", (5000, 5000)).save(bomb, "PNG")
    with pytest.raises(BadInput, match="5000x5000"):
        decode(bomb.getvalue(), (16, 16))


def test_same_input_same_bytes() -> None:
    assert encode(NOISE, "png", CAT) == encode(NOISE.copy(), "png", CAT)
