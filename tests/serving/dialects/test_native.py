"""What the HTTP interface answers, good and bad, over a real tiny bundle."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from commands.generate import generate
from models.noise import MAX_SEED

CAT = {"prompt": "a cat", "seed": 7}


def pixels(file: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.int16)


def error_of(response: Any) -> str:
    """The one line of an error answer."""
    assert list(response.json()) == ["error"]
    line = response.json()["error"]
    assert isinstance(line, str) and line and "\n" not in line and len(line) < 300
    return line


def test_draws_a_png_and_returns_the_seed(client: TestClient) -> None:
    response = client.post("/generate", json=CAT)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-seed"] == "7"
    assert pixels(response.content).shape == (16, 16, 3)


def test_same_seed_same_bytes_and_another_seed_another_picture(client: TestClient) -> None:
    first, again, other = (client.post("/generate", json={**CAT, "seed": seed}).content for seed in (7, 7, 8))
    assert first == again
    assert (pixels(first) != pixels(other)).any()


def test_random_seed_is_returned_and_draws_the_same_again(client: TestClient) -> None:
    first, second = (client.post("/generate", json={"prompt": "a cat"}) for _ in range(2))
    assert first.headers["x-seed"] != second.headers["x-seed"]
    again = client.post("/generate", json={"prompt": "a cat", "seed": int(first.headers["x-seed"])})
    assert again.content == first.content


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_every_number_of_steps_draws(client: TestClient, steps: int) -> None:
    assert client.post("/generate", json={**CAT, "steps": steps}).status_code == 200


def test_several_images_have_seeds_in_a_row_and_match_those_drawn_alone(client: TestClient) -> None:
    response = client.post("/generate", json={**CAT, "n": 6})
    images = response.json()["data"]
    assert [image["seed"] for image in images] == [7, 8, 9, 10, 11, 12]
    for image in images:
        alone = client.post("/generate", json={**CAT, "seed": image["seed"]}).content
        together = base64.b64decode(image["b64_json"])
        assert np.abs(pixels(together) - pixels(alone)).max() <= 3


@pytest.mark.parametrize(("format", "media"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats_decode_and_hold_their_provenance(client: TestClient, format: str, media: str) -> None:
    response = client.post("/generate", json={**CAT, "format": format})
    image = Image.open(io.BytesIO(response.content))
    assert image.format == media and response.headers["content-type"] == f"image/{format}"
    told: Any = image.info if format == "png" else json.loads(image.getexif()[0x010E])
    assert (told["prompt"], str(told["seed"]), str(told["steps"]), told["model"]) == ("a cat", "7", "1", "tiny")


def test_an_empty_prompt_is_drawn_as_the_command_line_draws_it(
    client: TestClient, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    generate([""], bundle=tiny_bundle, out=out, seed=7, backend="ort")
    drawn = [client.post("/generate", json={"prompt": nothing, "seed": 7}) for nothing in ("", " \n ")]
    assert [answer.status_code for answer in drawn] == [200, 200]
    wanted = np.asarray(Image.open(out))
    for answer in drawn:
        assert (pixels(answer.content) == wanted).all()
        assert Image.open(io.BytesIO(answer.content)).info["prompt"] == ""
    assert (pixels(client.post("/generate", json=CAT).content) != wanted).any()


def test_times_are_told(client: TestClient) -> None:
    timing = client.post("/generate", json=CAT).headers["server-timing"]
    assert [part.split(";")[0] for part in timing.split(", ")] == ["wait", "draw", "encode", "total"]


BAD_BODIES = [
    ({"prompt": "x" * 10_000}, "prompt has 10000 characters; at most 1000"),
    ({"prompt": 7}, "prompt: Input should be a valid string"),
    ({}, "prompt is missing"),
    ({**CAT, "seed": -1}, "seed: Input should be greater than or equal to 0, got -1"),
    ({**CAT, "seed": MAX_SEED + 1}, "seed: Input should be less than or equal to"),
    ({**CAT, "seed": 10**400}, "seed: "),
    ({**CAT, "seed": MAX_SEED, "n": 2}, "leaves no room for 2"),
    ({**CAT, "seed": "7"}, "seed: Input should be a valid integer, got '7'"),
    ({**CAT, "steps": 5}, "steps: Input should be less than or equal to 4"),
    ({**CAT, "n": 0}, "n: Input should be greater than or equal to 1"),
    ({**CAT, "n": 9}, "n is 9; at most 8"),
    ({**CAT, "size": "512x512"}, "size '512x512' is not offered; accepted: auto, 16x16"),
    ({**CAT, "format": "gif"}, "format: Input should be 'png', 'jpeg' or 'webp', got 'gif'"),
    ({**CAT, "sed": 7}, "unknown key 'sed'; did you mean 'seed'?"),
    ({"promt": "a cat"}, "unknown key 'promt'; did you mean 'prompt'?"),
    ({**CAT, "\ud800": 1}, "the body is not valid JSON"),
    ({"prompt": "\ud800"}, "hex escape"),
    (["a cat"], "the body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "says"), BAD_BODIES)
def test_bad_bodies_are_refused_in_one_line(client: TestClient, body: Any, says: str) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/generate", content=json.dumps(body), headers=headers)
    assert response.status_code == 400
    assert says in error_of(response)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"prompt": "a"', b"[" * 100_000, b"1" * 10_000])
def test_malformed_json_is_refused(client: TestClient, content: bytes) -> None:
    response = client.post("/generate", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png", None])
def test_another_content_type_is_refused(client: TestClient, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    response = client.post("/generate", content=json.dumps(CAT), headers=headers)
    assert response.status_code == 415
    assert "application/json" in error_of(response)


@pytest.mark.parametrize("prompt", ["😀❤️👩‍🚀", "قطة بعيون قلب", "猫", "a" * 1000, "a\x00b", "\\", "%s {}"])
def test_any_script_is_drawn_or_refused_in_one_line(client: TestClient, prompt: str) -> None:
    response = client.post("/generate", json={"prompt": prompt, "seed": 1})
    if response.status_code == 200:
        told = Image.open(io.BytesIO(response.content)).info
        assert told["prompt"] == prompt
    else:
        assert response.status_code == 400
        error_of(response)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prompt", "seed", "steps", "n", "size", "format", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()),
    )
)
def test_no_body_makes_a_5xx(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post("/generate", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code in (200, 400)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("", "image: "),
        ("!", "image is not base64"),
        ("https://example.org/cat.png", "image is not base64; accepted: PNG, JPEG or WebP in base64"),
        ("aGVsbG8=", "image cannot be read"),
        ("\ud800", "hex escape"),
        (7, "image: "),
    ],
)
def test_what_is_no_picture_is_refused(client: TestClient, image: Any, says: str) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/generate", content=json.dumps({**CAT, "image": image}), headers=headers)
    assert response.status_code == 400 and says in error_of(response)


def test_strength_leads_from_the_picture_to_the_prompt(client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "white").save(file, "PNG")
    body = {**CAT, "steps": 4, "image": base64.b64encode(file.getvalue()).decode()}
    drawn = [client.post("/generate", json={**body, "strength": strength}) for strength in (0.25, 0.5, 1, 0.25)]
    assert [answer.status_code for answer in drawn] == [200] * 4
    assert drawn[0].content == drawn[3].content and len({answer.content for answer in drawn}) == 3
    assert Image.open(io.BytesIO(drawn[0].content)).info["strength"] == "0.25"


def test_wrong_method_is_refused_in_one_line(client: TestClient) -> None:
    response = client.get("/generate")
    assert response.status_code == 405
    error_of(response)


def test_openapi_tells_what_is_accepted_and_answered(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/generate"]["post"]
    assert set(operation["responses"]) == {"200", "4XX"}
    assert "image/png" in operation["responses"]["200"]["content"]
    assert "$ref" in operation["requestBody"]["content"]["application/json"]["schema"]
