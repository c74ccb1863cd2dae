"""A model of several sizes draws the one that was asked for, whichever dialect asks."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from runtime.bundle import open_bundle
from runtime.manifest import MANIFEST
from serving import page
from serving.serve_config import ServeConfig

CAT = {"prompt": "a cat", "seed": 7}
WIDE = (32, 16)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs take any size; the manifest says which are offered."""
    copy = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("sizes") / "bundle", symlinks=True))
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**manifest, "sizes": [[16, 16], WIDE]}))
    return copy


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    from serving.application import application

    config = ServeConfig(bundle=bundle, backend="ort", threads=1, page=False)
    with TestClient(application(config), raise_server_exceptions=False) as client:
        yield client


def size_of(file: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(file)).size


def test_generate_draws_the_size_that_was_asked_for(client: TestClient) -> None:
    sizes = [size_of(client.post("/generate", json={**CAT, **more}).content) for more in ({}, {"size": "32x16"})]
    assert sizes == [(16, 16), WIDE]
    assert "accepted: auto, 16x16, 32x16" in client.post("/generate", json={**CAT, "size": "16x32"}).text


def test_sizes_asked_for_at_once_share_no_batch(client: TestClient) -> None:
    asked = ["16x16", "32x16"] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda size: client.post("/generate", json={**CAT, "size": size}), asked))
    assert [size_of(answer.content) for answer in answers] == [(16, 16), WIDE] * 4


def test_a_picture_to_start_from_is_cut_to_the_size(client: TestClient) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    assert size_of(client.post("/generate", json={**CAT, "size": "32x16", "image": image}).content) == WIDE


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/images/generations", {**CAT, "size": "32x16"}, lambda told: told["data"][0]["b64_json"]),
        ("/sdapi/v1/txt2img", {**CAT, "width": 32, "height": 16}, lambda told: told["images"][0]),
    ],
)
def test_other_dialects_choose_it_too(client: TestClient, path: str, body: dict[str, object], where) -> None:  # type: ignore[no-untyped-def]
    assert size_of(base64.b64decode(where(client.post(path, json=body).json()))) == WIDE


@pytest.mark.parametrize(
    ("asked", "drawn"), [((512, 512), "16x16"), ((640, 320), "32x16"), ((48, 40), "16x16"), ((16, 16), None)]
)
def test_one_rule_for_sizes_that_the_model_does_not_draw(
    client: TestClient, asked: tuple[int, int], drawn: str | None
) -> None:
    """Drawn at the size nearest in shape and resized, which a header tells: the same in both dialects."""
    width, height = asked
    theirs = client.post("/v1/images/generations", json={**CAT, "size": f"{width}x{height}"})
    automatic = client.post("/sdapi/v1/txt2img", json={**CAT, "width": width, "height": height})
    files = [base64.b64decode(code) for code in (theirs.json()["data"][0]["b64_json"], automatic.json()["images"][0])]
    assert files[0] == files[1] and size_of(files[0]) == asked
    assert theirs.headers.get("x-drawn-size") == automatic.headers.get("x-drawn-size") == drawn
    told = json.loads(automatic.json()["info"])
    assert (told["width"], told["height"]) == asked
    assert told["extra_generation_params"] == ({"Drawn at": drawn} if drawn else {})


def test_a_side_that_is_too_long_is_refused_in_both_dialects(client: TestClient) -> None:
    theirs = client.post("/v1/images/generations", json={**CAT, "size": "2049x64"})
    automatic = client.post("/sdapi/v1/txt2img", json={**CAT, "width": 2049, "height": 64})
    line = "size 2049x64 is not offered; accepted: auto, or sides of 1 to 2048 pixels"
    assert (theirs.status_code, theirs.json()["error"]["message"]) == (400, line)
    assert (automatic.status_code, automatic.json()["detail"]) == (400, line)


def test_the_page_offers_sizes_where_there_are_several(bundle: Path, tiny_bundle: Path) -> None:
    shown = {}
    for folder in (bundle, tiny_bundle):
        parts = page.layout(open_bundle(folder).manifest).config["components"]
        (size,) = (part["props"] for part in parts if part["props"].get("label") == "Size")
        shown[folder] = size["visible"], [choice for choice, _ in size["choices"]]
    assert shown == {bundle: (True, ["16x16", "32x16"]), tiny_bundle: (False, ["16x16"])}
