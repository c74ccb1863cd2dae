"""Models that are asked with labels, or with nothing: the same interface, each with its own body."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from export.bundle import open_bundle
from serving import page
from serving.config import ServeConfig
from tests import tiny


def opened(bundle: Path) -> TestClient:
    from serving.service import application

    config = ServeConfig(bundle=bundle, backend="ort", threads=1, page=False)
    return TestClient(application(config), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def labels(pixel_bundle: Path) -> Iterator[TestClient]:
    with opened(pixel_bundle) as client:
        yield client


@pytest.fixture(scope="module")
def nothing(unconditional_bundle: Path) -> Iterator[TestClient]:
    with opened(unconditional_bundle) as client:
        yield client


def test_a_label_is_a_number_or_a_name(labels: TestClient) -> None:
    by_number, by_name = (labels.post("/generate", json={"label": label, "seed": 7}) for label in (2, "blue"))
    assert by_number.status_code == 200 and by_number.content == by_name.content
    assert labels.post("/generate", json={"label": 3, "seed": 7}).content != by_number.content
    picture = Image.open(io.BytesIO(by_number.content))
    assert picture.size == (16, 16)
    assert picture.info["label"] == "blue" and "prompt" not in picture.info


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"label": 4}, 422, "label 4 is out of range; accepted: 0 to 3"),
        ({"label": -1}, 422, "label -1 is out of range"),
        ({"label": 10**100}, 422, "is out of range"),
        ({"label": "blu"}, 422, "label 'blu' is unknown; did you mean 'blue'?"),
        ({"label": "\ud800"}, 400, "hex escape"),
        ({"label": ""}, 422, "label is empty"),
        ({"label": True}, 400, "label: Input should be a valid integer, got True"),
        ({"label": 1.5}, 400, "label: "),
        ({"label": None}, 400, "label: "),
        ({}, 400, "label is missing"),
        ({"prompt": "blue"}, 400, "unknown key 'prompt'"),
        ({"label": 1, "sed": 7}, 400, "unknown key 'sed'; did you mean 'seed'?"),
    ],
)
def test_whatever_is_no_label_is_refused_in_one_line(
    labels: TestClient, body: dict[str, Any], status: int, says: str
) -> None:
    response = labels.post("/generate", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    line = response.json()["error"]
    assert says in line and "\n" not in line and len(line) < 300


@settings(max_examples=40, deadline=None)
@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()))
def test_no_label_makes_a_5xx(labels: TestClient, label: Any) -> None:
    content = json.dumps({"label": label, "seed": 1})
    response = labels.post("/generate", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 422)


def test_openai_names_the_label_in_the_prompt(labels: TestClient) -> None:
    ours = labels.post("/generate", json={"label": 2, "seed": 3, "n": 2}).json()["data"]
    theirs = labels.post("/v1/images/generations", json={"prompt": "blue", "seed": 3, "n": 2})
    assert theirs.json()["data"] == ours
    refused = labels.post("/v1/images/generations", json={"prompt": "a cat"})
    assert refused.status_code == 422 and refused.json()["error"]["param"] == "prompt"


def test_without_classes_a_seed_is_all_there_is(nothing: TestClient) -> None:
    first, again, other = (nothing.post("/generate", json={"seed": seed}) for seed in (7, 7, 8))
    assert first.status_code == 200 and first.content == again.content != other.content
    refused = nothing.post("/generate", json={"label": 1})
    assert refused.status_code == 400 and "unknown key 'label'" in refused.json()["error"]


@pytest.mark.parametrize(("name", "asked"), [("labels", {"label"}), ("nothing", set()), ("client", {"prompt"})])
def test_openapi_tells_what_this_model_is_asked_with(
    name: str, asked: set[str], request: pytest.FixtureRequest
) -> None:
    document = request.getfixturevalue(name).get("/openapi.json").json()
    content = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]
    body = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert set(body["properties"]) & {"prompt", "label"} == asked == set(body.get("required", ()))


def test_the_page_offers_what_the_model_is_asked_with(
    tiny_bundle: Path, pixel_bundle: Path, unconditional_bundle: Path
) -> None:
    shown = {}
    for bundle in (tiny_bundle, pixel_bundle, unconditional_bundle):
        manifest = open_bundle(bundle).manifest
        components = page.layout(manifest).config["components"]
        shown[manifest.task] = {
            part["props"].get("label"): part["props"]
            for part in components
            if part["props"].get("visible") is not False
        }
    assert "Prompt" in shown["text-to-image"] and "Label" not in shown["text-to-image"]
    choices = shown["class-to-image"]["Label"]["choices"]
    assert [value for _, value in choices] == list(tiny.CLASSES) and "Prompt" not in shown["class-to-image"]
    assert not {"Prompt", "Label"} & set(shown["unconditional-image-generation"])


def test_drawn_labels_differ_as_the_generator_draws_them(labels: TestClient) -> None:
    pictures = [labels.post("/generate", json={"label": label, "seed": 1}).content for label in range(4)]
    arrays = [np.asarray(Image.open(io.BytesIO(file))) for file in pictures]
    assert len({array.tobytes() for array in arrays}) == 4
