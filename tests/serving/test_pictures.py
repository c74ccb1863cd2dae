"""Pictures as people have them, at every endpoint of every dialect that takes some."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from serving.dialect import load_dialects
from serving.serve_config import ServeConfig

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
CAT = {"prompt": "a cat", "seed": 7}
Ask = Callable[[TestClient, bytes], httpx.Response]


def coded(file: bytes) -> str:
    return base64.b64encode(file).decode()


ASK: dict[str, Ask] = {
    "/generate": lambda client, file: client.post("/generate", json={**CAT, "image": coded(file)}),
    "/v1/images/edits": lambda client, file: client.post(
        "/v1/images/edits", data={"prompt": "a cat", "seed": "7"}, files={"image": ("photo.jpg", file, "image/jpeg")}
    ),
    "/sdapi/v1/img2img": lambda client, file: client.post(
        "/sdapi/v1/img2img", json={**CAT, "init_images": [coded(file)]}
    ),
    "/sdapi/v1/extra-single-image": lambda client, file: client.post(
        "/sdapi/v1/extra-single-image", json={"image": coded(file)}
    ),
    "/sdapi/v1/extra-batch-images": lambda client, file: client.post(
        "/sdapi/v1/extra-batch-images", json={"imageList": [{"data": coded(file), "name": "photo"}]}
    ),
    "/sdapi/v1/png-info": lambda client, file: client.post("/sdapi/v1/png-info", json={"image": coded(file)}),
}
REFUSE_ALL = {"/sdapi/v1/interrogate", "/caption", "/v1/chat/completions", "/v1/images/variations"}


@pytest.fixture(scope="module")
def photograph() -> bytes:
    """A JPEG of more than two million bytes, held upright: red on top for whoever obeys EXIF."""
    pixels = np.random.default_rng(0).integers(0, 40, (1200, 1600, 3), dtype=np.uint8)
    pixels[600:, :, 0] += 200
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=100, exif=turned)
    assert len(file.getvalue()) > 2_000_000
    return file.getvalue()


def test_every_endpoint_that_takes_pictures_is_here() -> None:
    assert {*ASK, *REFUSE_ALL} == {path for dialect in load_dialects() for path in dialect.picture_paths}


@pytest.mark.parametrize("path", ASK)
def test_a_photograph_is_taken(client: TestClient, photograph: bytes, path: str) -> None:
    answer = ASK[path](client, photograph)
    assert answer.status_code == 200, answer.text


def test_it_is_turned_upright_for_all_alike(client: TestClient, photograph: bytes) -> None:
    upright = io.BytesIO()
    Image.open(io.BytesIO(photograph)).rotate(180).save(upright, "PNG")
    asked = {**CAT, "strength": 0.25}
    turned, straight = (
        client.post("/generate", json={**asked, "image": coded(file)}) for file in (photograph, upright.getvalue())
    )
    assert turned.status_code == straight.status_code == 200 and turned.content == straight.content
    larger = client.post("/sdapi/v1/extra-single-image", json={"image": coded(photograph)}).json()["image"]
    top = np.asarray(Image.open(io.BytesIO(base64.b64decode(larger))))[:500]
    assert top[..., 0].mean() > 150


@pytest.mark.parametrize("path", list(ASK))
def test_heic_is_refused_by_its_name_in_the_dialects_shape(client: TestClient, path: str) -> None:
    refused = ASK[path](client, HEIC)
    assert refused.status_code == 400
    assert "is HEIC, which is not read; accepted: PNG, JPEG or WebP" in json.dumps(refused.json())


def test_only_bodies_that_bring_pictures_may_be_large(client: TestClient) -> None:
    large = {"prompt": "a" * ServeConfig().max_body}
    for path in ("/sdapi/v1/txt2img", "/v1/images/generations"):
        assert client.post(path, json=large).status_code == 413
    for path in ("/generate", "/sdapi/v1/img2img"):
        assert client.post(path, json={**large, "init_images": [""]}).status_code == 400
