"""Automatic1111's dialect in process: what its clients send is understood, what means nothing here does no harm."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from serving.application import application
from serving.dialects import automatic1111_lists
from serving.dialects.automatic1111 import Img2Img, Txt2Img
from serving.serve_config import ServeConfig

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
OURS = {"prompt": "a cat", "seed": 7}
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
    info = json.loads(answer["info"])
    assert (info["seed"], info["steps"], info["width"], info["sd_model_name"]) == (7, 1, 512, "tiny")
    assert info["extra_generation_params"] == {"Drawn at": "16x16", "Ignored": "negative_prompt"}
    own = client.post(TXT2IMG, json={**USUAL, "width": 16, "height": 16}).json()["images"]
    assert [base64.b64decode(image) for image in own] == [client.post("/generate", json=OURS).content]


def test_null_is_the_default_of_every_optional_field(client: TestClient) -> None:
    fields = [name for name in (*Txt2Img.model_fields, *USUAL) if name != "prompt"]
    answer = client.post(TXT2IMG, json={"prompt": "a cat", **dict.fromkeys(fields)})
    assert answer.status_code == 200 and len(answer.json()["images"]) == 1
    nulls = dict.fromkeys([*fields, *(name for name in Img2Img.model_fields if name not in ("prompt", "init_images"))])
    started = client.post(IMG2IMG, json={"prompt": "a cat", "init_images": [coded(picture())], **nulls})
    assert started.status_code == 200


@pytest.mark.parametrize(("asked", "drawn"), [(20, 1), (5, 1), (4, 4), (2, 2), (None, 1)])
def test_more_steps_than_the_student_knows_are_its_own_number(
    client: TestClient, asked: int | None, drawn: int
) -> None:
    answer = client.post(TXT2IMG, json={"prompt": "a cat", "seed": 7, "steps": asked}).json()
    ours = client.post("/generate", json={**OURS, "steps": drawn}).content
    assert base64.b64decode(answer["images"][0]) == ours and json.loads(answer["info"])["steps"] == drawn


def test_the_operator_sets_that_number(config: ServeConfig) -> None:
    with TestClient(application(config.model_copy(update={"steps": 2}))) as client:
        two = client.post("/generate", json={**OURS, "steps": 2}).content
        assert client.post("/generate", json=OURS).content == two
        asked = {"prompt": "a cat", "seed": 7}
        assert base64.b64decode(client.post(TXT2IMG, json={**asked, "steps": 20}).json()["images"][0]) == two
        theirs = client.post("/v1/images/generations", json=asked).json()["data"][0]["b64_json"]
        assert base64.b64decode(theirs) == two


def test_marks_are_taken_out_of_a_prompt_and_told(client: TestClient) -> None:
    asked = {"prompt": "a (cat:1.2) <lora:fur:0.8>", "seed": 7, "alwayson_scripts": {"ControlNet": {"args": [{}]}}}
    answer = client.post(TXT2IMG, json=asked).json()
    info = json.loads(answer["info"])
    assert base64.b64decode(answer["images"][0]) == client.post("/generate", json=OURS).content
    assert info["prompt"] == "a cat"
    assert info["extra_generation_params"] == {"Ignored": "<lora:fur:0.8>; weights of words; ControlNet"}
    assert info["infotexts"][0].endswith('Ignored: "<lora:fur:0.8>; weights of words; ControlNet", Seed: 7')


@pytest.mark.parametrize("invert", [0, 1])
@pytest.mark.parametrize("blur", [0, 4, None])
def test_a_mask_keeps_what_it_keeps_to_the_bit(client: TestClient, invert: int, blur: float | None) -> None:
    shown = picture()
    mask = np.zeros((48, 48), np.uint8)
    mask[:24, :24] = 255
    asked = {"prompt": "a cat", "seed": 7, "width": 48, "height": 48, "init_images": [coded(shown)], "mask_blur": blur}
    asked |= {"mask": coded(Image.fromarray(mask)), "inpainting_mask_invert": invert}
    drawn = opened(client.post(IMG2IMG, json=asked))
    kept = (mask == 255) == bool(invert)
    assert (drawn[kept] == np.asarray(shown)[kept]).all() and (drawn[~kept] != np.asarray(shown)[~kept]).mean() > 0.5


def test_a_mask_of_another_shape_is_aligned_where_the_answer_is_not_the_models(client: TestClient) -> None:
    """The left third alone is drawn anew, in an answer of 3:1 by a model that draws squares."""
    shown = Image.fromarray(np.random.default_rng(1).integers(0, 255, (32, 96, 3), dtype=np.uint8))
    mask = Image.new("L", (96, 32))
    mask.paste(255, (0, 0, 32, 32))
    asked = {"prompt": "a cat", "seed": 7, "width": 96, "height": 32, "init_images": [coded(shown)], "mask_blur": 0}
    drawn = opened(client.post(IMG2IMG, json={**asked, "mask": coded(mask)}))
    assert drawn.shape == (32, 96, 3) and (drawn[:, 32:] == np.asarray(shown)[:, 32:]).all()
    assert (drawn[:, :32] != np.asarray(shown)[:, :32]).mean() > 0.5


def test_a_picture_is_resized_and_says_what_made_it(client: TestClient) -> None:
    shown = picture()
    asked = {"image": coded(shown), "upscaler_1": "Nearest", "upscaling_resize": 3}
    larger = client.post("/sdapi/v1/extra-single-image", json=asked).json()["image"]
    assert (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(larger)))) == np.asarray(shown).repeat(3, 0).repeat(3, 1)
    ).all()
    refused = client.post("/sdapi/v1/extra-single-image", json={**asked, "upscaler_1": "ESRGAN"})
    assert refused.status_code == 400 and "accepted: None, Lanczos, Nearest" in refused.json()["detail"]
    refused = client.post("/sdapi/v1/extra-single-image", json={**asked, "upscaling_resize": 60})
    assert refused.status_code == 400 and "sides of at most 2048" in refused.json()["detail"]
    for format in ("png", "jpeg", "webp"):
        file = client.post("/generate", json={**OURS, "format": format}).content
        told = client.post("/sdapi/v1/png-info", json={"image": base64.b64encode(file).decode()}).json()
        assert told["parameters"]["prompt"] == "a cat" and told["info"].startswith(
            "a cat\nSteps: 1, Seed: 7, Model: tiny"
        )
    told = client.post("/sdapi/v1/png-info", json={"image": coded(shown)}).json()
    assert told == {"info": "", "items": {}, "parameters": {}}


def test_pictures_of_few_colours_and_of_sixteen_bits_are_resized_as_asked(client: TestClient) -> None:
    """Pillow resizes palettes by the nearest pixel alone, and shows 16 bits as white."""
    halves = Image.new("RGB", (8, 8), "red")
    halves.paste("blue", (4, 0, 8, 8))
    grey = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    asked = {"upscaler_1": "Lanczos", "upscaling_resize": 4}
    larger = [
        client.post("/sdapi/v1/extra-single-image", json={**asked, "image": coded(shown)}).json()["image"]
        for shown in (halves.quantize(2), halves, grey)
    ]
    few, all, sixteen = (np.asarray(Image.open(io.BytesIO(base64.b64decode(image)))) for image in larger)
    assert (few == all).all() and np.unique(sixteen).tolist() == [128]


@pytest.mark.parametrize("path", [*automatic1111_lists.FIXED, "progress", "memory"])
def test_lists_are_answered(client: TestClient, path: str) -> None:
    answer = client.get(f"/sdapi/v1/{path}")
    assert answer.status_code == 200 and isinstance(answer.json(), list | dict)


@pytest.mark.parametrize("path", automatic1111_lists.NOTHING_TO_DO)
def test_what_changes_nothing_is_answered(client: TestClient, path: str) -> None:
    assert client.post(f"/sdapi/v1/{path}").status_code == 200


def test_batches_have_seeds_in_a_row_and_minus_one_is_a_random_one(client: TestClient) -> None:
    answer = client.post(TXT2IMG, json={**USUAL, "steps": 1, "seed": -1, "batch_size": 2, "n_iter": 2}).json()
    info = json.loads(answer["info"])
    assert len(answer["images"]) == 4
    assert info["all_seeds"] == [info["seed"] + index for index in range(4)]


def test_no_prompt_at_all_draws_what_the_seed_gives(client: TestClient) -> None:
    """As Automatic1111 does; a prompt of marks alone says nothing either."""
    ours = client.post("/generate", json={"prompt": "", "seed": 7, "format": "png"}).content
    wanted = Image.open(io.BytesIO(ours)).tobytes()
    for body in ({}, {"prompt": ""}, {"prompt": None}, {"prompt": "<lora:x:1>"}):
        answer = client.post(TXT2IMG, json={**body, "seed": 7})
        assert answer.status_code == 200, answer.text
        assert Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))).tobytes() == wanted


def test_image_to_image(client: TestClient) -> None:
    red = coded(Image.new("RGB", (64, 32), "red"))
    lines = "\n".join(red[start : start + 76] for start in range(0, len(red), 76))
    drawn = []
    for start in ({"init_images": [lines]}, {"init_images": [f"data:image/png;base64,{red}"]}):
        for strength in (0, 0.75, 1):
            answer = client.post("/sdapi/v1/img2img", json={**USUAL, **start, "denoising_strength": strength})
            assert answer.status_code == 200
            drawn.append(answer.json()["images"][0])
    assert drawn[:3] == drawn[3:] and drawn[0] != drawn[2]


def test_models_options_and_samplers(client: TestClient) -> None:
    (model,) = client.get("/sdapi/v1/sd-models").json()
    assert model["model_name"] == "tiny" and len(model["sha256"]) == 64
    assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == model["title"]
    for name in (model["title"], "tiny", "tiny.safetensors", model["hash"], ""):
        assert client.post("/sdapi/v1/options", json={"sd_model_checkpoint": name, "eta": 1}).status_code == 200
        assert (
            client.post(TXT2IMG, json={**USUAL, "override_settings": {"sd_model_checkpoint": name}}).status_code == 200
        )
    assert [sampler["name"] for sampler in client.get("/sdapi/v1/samplers").json()] == ["LCM"]
    progress = client.get("/sdapi/v1/progress").json()
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
    ram = client.get("/sdapi/v1/memory").json()["ram"]
    assert ram["free"] + ram["used"] == ram["total"] > ram["used"] > 10**7


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (TXT2IMG, {**USUAL, "prompt": "\ud800"}, 400, "surrogate"),
        (TXT2IMG, {**USUAL, "batch_size": 3, "n_iter": 3}, 400, "batch_size times n_iter is 9; at most 8"),
        (TXT2IMG, {**USUAL, "override_settings": {"sd_model_checkpoint": "sdxl"}}, 404, "accepted: tiny ["),
        ("/sdapi/v1/options", {"sd_model_checkpoint": "sdxl"}, 404, "accepted: tiny ["),
        ("/sdapi/v1/img2img", USUAL, 400, "init_images is missing"),
        ("/sdapi/v1/img2img", {**USUAL, "init_images": ["AAAA"], "mask": "!"}, 400, "mask is not base64"),
        ("/sdapi/v1/interrogate", {"image": "AAAA"}, 404, "no served model describes pictures"),
        ("/sdapi/v1/png-info", {"image": "AAAA"}, 400, "cannot be read"),
        ("/sdapi/v1/extra-batch-images", {"imageList": []}, 400, "imageList"),
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
        st.sampled_from(
            [*USUAL, "init_images", "denoising_strength", "mask", "mask_blur", "image", "imageList", "upscaler_1"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.text(max_size=9)),
    ),
    st.sampled_from(
        ["txt2img", "img2img", "options", "png-info", "interrogate", "extra-single-image", "extra-batch-images"]
    ),
)
def test_no_body_makes_a_5xx(client: TestClient, body: dict[str, Any], name: str) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(f"/sdapi/v1/{name}", content=json.dumps(body), headers=headers).status_code in (200, 400, 404)


def picture() -> Image.Image:
    """48 pixels square, no two rows alike."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))


def coded(image: Image.Image) -> str:
    """A PNG in base64."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def opened(answer: httpx.Response) -> NDArray[np.uint8]:
    """(H, W, 3) of the first picture."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))))
