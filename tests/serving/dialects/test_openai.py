"""OpenAI's dialect in process: its errors have OpenAI's shape, its fields that mean nothing here are ignored."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

IMAGES = "/v1/images/generations"


@pytest.mark.parametrize(
    ("extra", "param", "says"),
    [
        ({"response_format": "url"}, "response_format", "'b64_json'"),
        ({"stream": True}, "stream", "False"),
        ({"size": "1024x1024"}, "size", "accepted: auto, 16x16"),
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
