"""The published client of Automatic1111's web UI (`webuiapi`, known as sdwebuiapi) on a running server: each of its calls.

`docs/deploy.md` holds the table; a test compares.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import webuiapi
from PIL import Image

from base.shipped import ROOT
from tests.serving.dialects.test_automatic1111 import picture

CAT: dict[str, Any] = {"prompt": "a (cat:1.2)", "seed": 7, "width": 48, "height": 48}
LISTS: dict[str, Any] = {
    "get_sd_vae": [],
    "get_latent_upscale_modes": [],
    "get_loras": [],
    "get_hypernetworks": [],
    "get_face_restorers": [],
    "get_realesrgan_models": [],
    "get_prompt_styles": [],
    "get_scripts": {"txt2img": [], "img2img": []},
    "get_embeddings": {"loaded": {}, "skipped": {}},
    "get_cmd_flags": {"api": True},
    "interrupt": {},
    "skip": None,
    "refresh_checkpoints": None,
}
OTHERS = {"async_post", "check_extensions", "get_endpoint", "post_and_get_api_result", "set_auth"}  # they are no calls
OTHERS |= {"list_prompt_gen_models", "prompt_gen"}  # of an extension
OTHERS |= {"get_artist_categories", "get_artists"}  # Automatic1111 has them no more


@pytest.fixture(scope="module")
def api(server: str) -> webuiapi.WebUIApi:
    place = urlsplit(server)
    return webuiapi.WebUIApi(host=place.hostname, port=place.port)


def test_txt2img(api: webuiapi.WebUIApi) -> None:
    first, second = api.txt2img(**CAT), api.txt2img(**CAT, negative_prompt="ugly", steps=30, sampler_name="DPM++ 2M")
    assert first.image.size == (48, 48) and np.array_equal(first.image, second.image)
    assert first.info["all_seeds"] == [7] and first.info["steps"] == 1 and first.info["prompt"] == "a cat"
    assert len(api.txt2img(prompt="a cat", batch_size=2, n_iter=2).images) == 4


def test_img2img_with_a_mask(api: webuiapi.WebUIApi) -> None:
    shown, mask = picture(), Image.new("L", (48, 48))
    mask.paste(255, (0, 0, 24, 48))
    whole = np.asarray(api.img2img(images=[shown], **CAT).image)
    masked = np.asarray(api.img2img(images=[shown], mask_image=mask, mask_blur=0, **CAT).image)
    assert (masked[:, :24] == whole[:, :24]).all() and (masked[:, 24:] == np.asarray(shown)[:, 24:]).all()
    assert (whole[:, 24:] != np.asarray(shown)[:, 24:]).any()


def test_extras(api: webuiapi.WebUIApi) -> None:
    single = api.extra_single_image(picture(), upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=2)
    several = api.extra_batch_images([picture()] * 2, upscaler_1="Nearest", resize_mode=1, upscaling_resize_h=96)
    assert single.image.size == (96, 96) and [image.size for image in several.images] == [(512, 96)] * 2
    assert np.array_equal(api.extra_single_image(picture()).image, picture())  # None changes nothing, as there


def test_png_info(api: webuiapi.WebUIApi, server: str) -> None:
    file = httpx.post(f"{server}/generate", json={"prompt": "a cat", "seed": 7}).content
    told = api.png_info(Image.open(io.BytesIO(file)))
    assert told.info.startswith("a cat\nSteps: 1, Seed: 7, Model: tiny, Model hash: ")
    assert told.parameters["prompt"] == "a cat" and told.parameters["seed"] == "7"


def test_models_and_options(api: webuiapi.WebUIApi) -> None:
    (title,) = api.util_get_model_names()
    assert (
        api.get_sd_models()[0]["title"]
        == title
        == api.util_get_current_model()
        == api.get_options()["sd_model_checkpoint"]
    )
    assert api.set_options({"sd_model_checkpoint": title, "CLIP_stop_at_last_layers": 2}) is None
    api.util_set_model("tiny")
    assert api.util_get_current_model() == title
    assert api.util_get_sampler_names() == ["LCM"] and api.util_get_scheduler_names() == ["automatic"]
    assert [one["name"] for one in api.get_upscalers()] == ["None", "Lanczos", "Nearest"]


def test_progress_and_memory(api: webuiapi.WebUIApi) -> None:
    api.util_wait_for_ready()
    assert api.get_progress()["state"]["job_count"] == 0
    assert api.get_memory()["ram"]["used"] > 10**7


@pytest.mark.parametrize("call", LISTS)
def test_lists_and_what_changes_nothing(api: webuiapi.WebUIApi, call: str) -> None:
    assert getattr(api, call)() == LISTS[call]


def test_interrogate_is_refused_clearly(api: webuiapi.WebUIApi) -> None:
    with pytest.raises(RuntimeError, match="no served model describes pictures") as refused:
        api.interrogate(picture())
    assert refused.value.args[0] == 404


def test_errors_are_its_errors(api: webuiapi.WebUIApi) -> None:
    with pytest.raises(RuntimeError) as refused:
        api.txt2img(prompt="a cat", batch_size=99)
    status, text = refused.value.args
    assert status == 400 and set(json.loads(text)) == {"error", "detail", "body", "errors"}


def test_the_page_lists_its_calls() -> None:
    """Every call of the client that Automatic1111 answers, once: 26, and `get_loras` of an extension that comes with it."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    answered, refused = (row.split("|")[2] for row in re.findall(r"^\| (?:answered|refused) \|.*$", page, re.MULTILINE))
    public = {name for name, call in vars(webuiapi.WebUIApi).items() if callable(call) and not name.startswith("_")}
    calls = {name for name in public if not name.startswith(("util_", "controlnet_", "custom_")) and name not in OTHERS}
    assert len(calls) == 27 and sorted(re.findall(r"`(\w+)`", answered + refused)) == sorted(calls)
    assert re.findall(r"`(\w+)`", refused) == ["interrogate"]
