"""Automatic1111's dialect in process: what its clients send is understood, what means nothing here does no harm."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

TXT2IMG = "/sdapi/v1/txt2img"
USUAL = {
    "prompt": "a cat",
    "negative_prompt": "ugly",
    "seed": 7,
    "steps": 20,
    "cfg_scale": 7.5,
    "width": 512,
    "height": 512,
    "sampler_name": "Euler a",
    "batch_size": 1,
    "n_iter": 1,
    "restore_faces": False,
    "override_settings": {"CLIP_stop_at_last_layers": 2},
    "alwayson_scripts": {},
}
"""What such a client sends."""


def test_usual_request_is_drawn(client: TestClient) -> None:
    answer = client.post(TXT2IMG, json=USUAL).json()
    assert set(answer) == {"images", "parameters", "info"}
    ours = client.post("/generate", json={"prompt": "a cat", "seed": 7, "steps": 4}).content
    assert [base64.b64decode(image) for image in answer["images"]] == [ours]
    info = json.loads(answer["info"])
    assert (info["seed"], info["steps"], info["width"], info["sd_model_name"]) == (7, 4, 16, "tiny")


def test_batches_have_seeds_in_a_row_and_minus_one_is_a_random_one(client: TestClient) -> None:
    answer = client.post(TXT2IMG, json={**USUAL, "steps": 1, "seed": -1, "batch_size": 2, "n_iter": 2}).json()
    info = json.loads(answer["info"])
    assert len(answer["images"]) == 4
    assert info["all_seeds"] == [info["seed"] + index for index in range(4)]


def test_image_to_image(client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    drawn = []
    for start in ({"init_images": [picture]}, {"init_images": [f"data:image/png;base64,{picture}"]}):
        for strength in (0, 0.75, 1):
            answer = client.post("/sdapi/v1/img2img", json={**USUAL, **start, "denoising_strength": strength})
            assert answer.status_code == 200
            drawn.append(answer.json()["images"][0])
    assert drawn[:3] == drawn[3:] and drawn[0] != drawn[2]


def test_models_options_and_samplers(client: TestClient) -> None:
    (model,) = client.get("/sdapi/v1/sd-models").json()
    assert model["model_name"] == "tiny" and len(model["sha256"]) == 64
    assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == model["title"]
    for name in (model["title"], "tiny", "tiny.safetensors", model["hash"]):
        assert client.post("/sdapi/v1/options", json={"sd_model_checkpoint": name, "eta": 1}).status_code == 200
        assert (
            client.post(TXT2IMG, json={**USUAL, "override_settings": {"sd_model_checkpoint": name}}).status_code == 200
        )
    assert [sampler["name"] for sampler in client.get("/sdapi/v1/samplers").json()] == ["LCM"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (TXT2IMG, {**USUAL, "prompt": ""}, 400, "prompt is empty"),
        (TXT2IMG, {**USUAL, "prompt": "\ud800"}, 400, "surrogate"),
        (TXT2IMG, {**USUAL, "batch_size": 9}, 400, "at most 8"),
        (TXT2IMG, {**USUAL, "override_settings": {"sd_model_checkpoint": "sdxl"}}, 404, "accepted: tiny ["),
        ("/sdapi/v1/options", {"sd_model_checkpoint": "sdxl"}, 404, "accepted: tiny ["),
        ("/sdapi/v1/img2img", USUAL, 400, "init_images is missing"),
        ("/sdapi/v1/img2img", {**USUAL, "init_images": [""]}, 400, "image"),
        ("/sdapi/v1/img2img", {**USUAL, "init_images": ["http://x.org/a.png"]}, 400, "not base64"),
        ("/sdapi/v1/img2img", {**USUAL, "init_images": ["AAAA"]}, 400, "cannot be read"),
    ],
)
def test_errors_have_its_shape(client: TestClient, path: str, body: dict[str, Any], status: int, says: str) -> None:
    content = json.dumps(body)
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail", "body", "errors"} and says in answer.json()["detail"]


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*USUAL, "init_images", "denoising_strength"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.text(max_size=9)),
    ),
    st.sampled_from(["txt2img", "img2img", "options"]),
)
def test_no_body_makes_a_5xx(client: TestClient, body: dict[str, Any], name: str) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(f"/sdapi/v1/{name}", content=json.dumps(body), headers=headers).status_code in (200, 400, 404)
