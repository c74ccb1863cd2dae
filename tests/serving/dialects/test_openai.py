"""OpenAI's dialect in process: its errors have OpenAI's shape, its fields that mean nothing here are ignored."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from serving.application import application
from serving.serve_config import ServeConfig

IMAGES, EDITS = "/v1/images/generations", "/v1/images/edits"


@pytest.mark.parametrize(
    ("extra", "param", "says"),
    [
        ({"response_format": "link"}, "response_format", "'b64_json' or 'url'"),
        ({"stream": True}, "stream", "a picture is answered whole"),
        ({"size": "large"}, "size", "is not WIDTHxHEIGHT, e.g. 512x512, or auto"),
        ({"size": "9999x16"}, "size", "sides of 1 to 2048 pixels"),
        ({"n": 11}, "n", "at most 8"),
        ({"siez": "auto"}, "siez", "did you mean 'size'?"),
        ({"seed": -1}, "seed", "got -1"),
        ({"output_format": "gif"}, "output_format", "'png'"),
        ({"prompt": ""}, "prompt", "empty"),
    ],
)
def test_errors_have_openais_shape(client: TestClient, extra: dict[str, Any], param: str, says: str) -> None:
    response = client.post(IMAGES, json={"prompt": "a cat", **extra})
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error" and error["param"] == param
    assert says in error["message"] and "\n" not in error["message"]


def test_unknown_model_is_404(client: TestClient) -> None:
    response = client.post(IMAGES, json={"prompt": "a cat", "model": "dall-e-3"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "accepted: tiny" in response.json()["error"]["message"]


def test_malformed_json_and_content_type_have_openais_shape_as_well(client: TestClient) -> None:
    bad = client.post(IMAGES, content="{", headers={"content-type": "application/json"})
    assert bad.status_code == 400 and bad.json()["error"]["type"] == "invalid_request_error"
    text = client.post(IMAGES, content="{}", headers={"content-type": "text/plain"})
    assert text.status_code == 415 and "application/json" in text.json()["error"]["message"]


def test_same_picture_as_the_other_interface(client: TestClient) -> None:
    ignored = {"user": "me", "quality": "hd", "style": "vivid", "background": "auto", "moderation": "low"}
    ours = client.post("/generate", json={"prompt": "a cat", "seed": 3, "n": 2}).json()["data"]
    theirs = client.post(IMAGES, json={"prompt": "a cat", "seed": 3, "n": 2, "size": "16x16", **ignored}).json()
    assert theirs["data"] == ours
    assert isinstance(theirs["created"], int)


def test_urls_are_data_urls_of_the_same_pictures(client: TestClient) -> None:
    asked = {"prompt": "a cat", "seed": 3, "n": 2, "output_format": "webp"}
    pictures = client.post(IMAGES, json=asked).json()["data"]
    linked = client.post(IMAGES, json={**asked, "response_format": "url"}).json()["data"]
    assert [one["url"] for one in linked] == [f"data:image/webp;base64,{one['b64_json']}" for one in pictures]
    assert [set(one) for one in linked] == [{"url", "seed"}] * 2


def test_one_model_is_told_as_the_list_has_it(client: TestClient) -> None:
    (listed,) = client.get("/v1/models").json()["data"]
    assert client.get("/v1/models/tiny").json() == listed
    for name in ("dall-e-3", "someone/dall-e-3"):
        unknown = client.get(f"/v1/models/{name}")
        assert unknown.status_code == 404 and unknown.json()["error"]["code"] == "model_not_found"


def test_other_names_stand_for_served_models(config: ServeConfig) -> None:
    aliases = {"gpt-image-1": "tiny", "someone/painter": "tiny"}
    with TestClient(application(config.model_copy(update={"aliases": aliases}))) as client:
        listed = {model["id"]: model["root"] for model in client.get("/v1/models").json()["data"]}
        assert listed == {"tiny": "tiny", "gpt-image-1": "tiny", "someone/painter": "tiny"}
        assert client.get("/v1/models/someone/painter").json()["root"] == "tiny"
        cat = {"prompt": "a cat", "seed": 3}
        pictures = [client.post(IMAGES, json={**cat, "model": name}).json()["data"] for name in listed]
        assert pictures[0] == pictures[1] == pictures[2]
        refused = client.post(IMAGES, json={**cat, "model": "dall-e-2"}).json()["error"]["message"]
        assert refused.endswith("accepted: tiny, gpt-image-1, someone/painter")
        chosen = {"prompt": "a cat", "override_settings": {"sd_model_checkpoint": "gpt-image-1"}}
        assert client.post("/sdapi/v1/txt2img", json=chosen).status_code == 200


def test_a_list_of_one_picture_is_a_picture(client: TestClient) -> None:
    form, red, blue = {"prompt": "a cat", "seed": "3"}, png(Image.new("RGB", (24, 24), "red")), png(picture())
    alone = client.post(EDITS, data=form, files={"image": ("a.png", red)})
    listed = client.post(EDITS, data=form, files=[("image[]", ("a.png", red))])
    assert alone.status_code == listed.status_code == 200 and alone.json()["data"] == listed.json()["data"]
    for files in (
        [("image[]", red), ("image[]", blue)],
        [("image", red), ("image", blue)],
        [("image", red), ("image[]", blue)],
    ):
        several = client.post(EDITS, data=form, files=[(name, ("a.png", file)) for name, file in files])
        assert several.status_code == 400 and several.json()["error"]["param"] == "image"
        assert several.json()["error"]["message"] == "image: 2 pictures; accepted: one, to start from"
    none = client.post(EDITS, files={"prompt": (None, "a cat")})
    assert none.status_code == 400 and none.json()["error"]["message"].startswith("image: no picture")


@pytest.mark.parametrize("path", [EDITS, "/v1/images/variations"])
def test_a_form_of_another_kind_is_told_in_its_own_words(client: TestClient, path: str) -> None:
    """Text in place of a file, a file in place of text, JSON in place of a form."""
    text = client.post(path, files={"image": (None, "text"), "n": (None, "1")})
    file = client.post(path, files={"size": ("a.png", png(picture()))})
    other = client.post(path, json={"prompt": "a cat"})
    empty = client.post(path)
    assert [answer.status_code for answer in (text, file, other, empty)] == [400, 400, 415, 415]
    assert (
        text.json()["error"]["message"]
        == "image is text; accepted: a file, PNG, JPEG or WebP, as curl -F image=@FILE sends it"
    )
    assert text.json()["error"]["param"] == "image" and text.json()["error"]["code"] == "invalid_value"
    assert file.json()["error"]["message"] == "size: Input should be a valid string, got a file"
    for answer in (other, empty):
        assert answer.json()["error"]["message"].startswith("the body must be multipart/form-data")


def test_keys_of_other_models_are_told_as_such(client: TestClient) -> None:
    edits = client.post(EDITS, data={"prompt": "a cat"}, files={"content": ("a.png", png(picture()))})
    own = client.post("/generate", json={"prompt": "a cat", "style": "AAAA"})
    said = "a model that draws from pictures takes it, and this one does not; accepted: "
    assert edits.status_code == own.status_code == 400
    assert edits.json()["error"]["message"].startswith(f"unknown key 'content'; {said}") and said in own.json()["error"]
    unknown = client.post(EDITS, data={"zzzzzzzz": "1"}, files={"image": ("a.png", png(picture()))}).json()["error"]
    assert "image[]" in unknown["message"] and "several" not in unknown["message"]


def test_a_strength_without_a_picture_is_refused(client: TestClient) -> None:
    alone = client.post("/generate", json={"prompt": "a cat", "strength": 0.3})
    assert alone.status_code == 400 and alone.json()["error"].startswith("strength: there is no picture to start from")
    assert client.post("/generate", json={"prompt": "a cat", "strength": 0.3, "image": None}).status_code == 200


def test_a_mask_keeps_what_is_opaque(client: TestClient) -> None:
    """To the bit, at every size; what is transparent is what the picture without a mask shows there."""
    shown = picture()
    form = {"prompt": "a cat", "seed": "3", "strength": "1"}
    for size in ("auto", "48x48"):
        files = {"image": ("a.png", png(shown))}
        whole = pixels(client.post(EDITS, data={**form, "size": size}, files=files))
        masked = pixels(
            client.post(EDITS, data={**form, "size": size}, files={**files, "mask": ("m.png", png(corner()))})
        )
        half = len(masked) // 2
        if size != "auto":  # the picture's own: nothing is resampled
            assert (masked[half:] == np.asarray(shown)[half:]).all()
            assert (masked[:half, half:] == np.asarray(shown)[:half, half:]).all()
        assert (masked[: half - 1, : half - 1] == whole[: half - 1, : half - 1]).all()
        assert (masked != whole).any()


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (Image.new("RGBA", (48, 48), "white"), "mask has no transparent pixels"),
        (Image.new("RGBA", (48, 24)), "mask has 48x24 pixels; accepted: the picture's 48x48, or its proportions"),
    ],
)
def test_a_mask_that_says_nothing_is_refused(client: TestClient, mask: Image.Image, says: str) -> None:
    files = {"image": ("a.png", png(picture())), "mask": ("m.png", png(mask))}
    refused = client.post(EDITS, data={"prompt": "a cat"}, files=files)
    assert refused.status_code == 400 and says in refused.json()["error"]["message"]


def picture() -> Image.Image:
    """48 pixels square, no two rows alike."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))


def corner() -> Image.Image:
    """A mask of its proportions, transparent in the upper left quarter."""
    mask = Image.new("RGBA", (24, 24), "black")
    mask.paste((0, 0, 0, 0), (0, 0, 12, 12))
    return mask


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def pixels(answer: httpx.Response) -> NDArray[np.uint8]:
    """(H, W, 3) of the first picture."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"]))))
