"""Models that are asked with labels, or with nothing: the same interface, each with its own body."""

from __future__ import annotations

import base64
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

from base.errors import BadInput
from models.controls import Pickers
from runtime.bundle import open_bundle
from serving import live, page
from serving.serve_config import ServeConfig
from tests import tiny


def opened(bundle: Path) -> TestClient:
    from serving.application import application

    config = ServeConfig(bundle=bundle, backend="ort", threads=1, page=False)
    return TestClient(application(config), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def labels(pixel_bundle: Path) -> Iterator[TestClient]:
    with opened(pixel_bundle) as client:
        yield client


@pytest.fixture(scope="module")
def attributes(attribute_bundle: Path) -> Iterator[TestClient]:
    with opened(attribute_bundle) as client:
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
        ({"label": " "}, 422, "label ' ' is unknown; accepted: "),
        ({"label": True}, 400, "label: Input should be a valid integer or a valid string, got True"),
        ({"label": 1.5}, 400, "label: "),
        ({"label": None}, 400, "label: "),
        ({}, 400, "label is missing"),
        ({"prompt": "blue"}, 400, "unknown key 'prompt'; this model takes label"),
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


def test_no_label_is_the_null_condition_but_openais_clients_name_one(labels: TestClient) -> None:
    ours = labels.post("/generate", json={"label": "", "seed": 3})
    theirs = labels.post("/sdapi/v1/txt2img", json={"prompt": "", "seed": 3})
    assert (ours.status_code, theirs.status_code) == (200, 200)
    drawn = [Image.open(io.BytesIO(file)) for file in (ours.content, base64.b64decode(theirs.json()["images"][0]))]
    assert drawn[0].tobytes() == drawn[1].tobytes() and drawn[0].info["label"] == ""
    refused = labels.post("/v1/images/generations", json={"prompt": ""})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "empty_string"


def test_attributes_are_weights_by_name_or_text(attributes: TestClient) -> None:
    asked = [{"Fez": 2.5, "Ape": 1}, {"Ape": 1.0, "Fez": 2.5, "Pipe": 0}, "Ape, Fez=2.5"]
    drawn = [attributes.post("/generate", json={"attributes": wanted, "seed": 7}) for wanted in asked]
    assert [answer.status_code for answer in drawn] == [200] * 3
    assert drawn[0].content == drawn[1].content == drawn[2].content
    picture = Image.open(io.BytesIO(drawn[0].content))
    assert picture.size == (8, 8)
    assert picture.info["attributes"] == "Ape, Fez=2.5"
    lighter = attributes.post("/generate", json={"attributes": {"Ape": 1, "Fez": 0.5}, "seed": 7})
    assert np.any(np.asarray(Image.open(io.BytesIO(lighter.content))) != np.asarray(picture))
    free = [attributes.post("/generate", json={"attributes": wanted, "seed": 7}) for wanted in ({}, "", {"Man": 0})]
    assert {answer.status_code for answer in free} == {200} and len({answer.content for answer in free}) == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"attributes": {"Crwon": 1}}, 422, "attribute 'Crwon' is unknown; did you mean 'Crown'?"),
        ({"attributes": {"Cap": 1, "Fez": 2}}, 422, "attributes 'Cap' and 'Fez' exclude each other: one hat at most"),
        ({"attributes": {"Cap": 3.5}}, 422, "weight 3.5 of attribute 'Cap' is refused; accepted: 0 to 3"),
        ({"attributes": {"Cap": -1}}, 422, "weight -1.0 of attribute 'Cap' is refused"),
        ({"attributes": {"Cap": float("nan")}}, 422, "weight nan of"),
        ({"attributes": {"Cap": 10**400}}, 422, "weight inf of"),
        ({"attributes": {"Cap": "2"}}, 400, "attributes: 'Cap': Input should be a valid number, got '2'"),
        ({"attributes": {"Cap": True}}, 400, "attributes: "),
        ({"attributes": {"Cap": None}}, 400, "attributes: "),
        ({"attributes": ["Cap"]}, 400, "attributes: Input should be an object or a valid string, got ['Cap']"),
        ({"attributes": "Cap=x"}, 422, "weight 'x' of attribute 'Cap' is refused"),
        ({"attributes": None}, 400, "attributes: "),
        ({}, 400, "attributes is missing"),
        ({"label": 1}, 400, "unknown key 'label'; this model takes attributes"),
        ({"prompt": "a cat"}, 400, "unknown key 'prompt'; this model takes attributes"),
        (
            {"attributes": "a red cat"},
            422,
            "attribute 'a red cat' is unknown; accepted are attributes, one of each slot: ",
        ),
    ],
)
def test_whatever_are_no_attributes_is_refused_in_one_line(
    attributes: TestClient, body: dict[str, Any], status: int, says: str
) -> None:
    response = attributes.post("/generate", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    line = response.json()["error"]
    assert says in line and "\n" not in line and len(line) < 300


WISHES = st.dictionaries(st.sampled_from(["Man", "Cap", "Fez", "x"]) | st.text(max_size=9), st.none() | st.floats())


@settings(max_examples=40, deadline=None)
@given(st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=3)) | WISHES)
def test_no_attributes_make_a_5xx(attributes: TestClient, wanted: Any) -> None:
    content = json.dumps({"attributes": wanted, "seed": 1})
    response = attributes.post("/generate", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 422)


@pytest.mark.parametrize("message", ['{"attributes": {"Ape": 1, "Fez": 2.5}}', "Fez=2.5, Ape"])
def test_attributes_are_wished_live_by_name_or_text(attributes: TestClient, message: str) -> None:
    artist, registry = attributes.app.state.artist, attributes.app.state.registry  # type: ignore[attr-defined]
    fields = live._changed({"attributes": "Man", "seed": 7}, message, registry)
    _, wanted = live._order(fields, artist, registry)
    assert (wanted.input, wanted.seed, wanted.n) == ({"Ape": 1.0, "Fez": 2.5}, 7, 1)
    with pytest.raises(BadInput, match="attribute 'Hat' is unknown"):
        live._order(live._changed(fields, "Man, Hat", registry), artist, registry)


def test_other_dialects_name_attributes_in_the_prompt(attributes: TestClient) -> None:
    ours = attributes.post("/generate", json={"attributes": {"Ape": 1, "Fez": 2.5}, "seed": 3, "n": 2}).json()["data"]
    theirs = attributes.post("/v1/images/generations", json={"prompt": "Fez=2.5, Ape", "seed": 3, "n": 2})
    assert theirs.json()["data"] == ours
    others = attributes.post("/sdapi/v1/txt2img", json={"prompt": "Ape, Fez=2.5", "seed": 3, "batch_size": 2}).json()
    assert others["images"] == [image["b64_json"] for image in ours]
    weighted = attributes.post("/sdapi/v1/txt2img", json={"prompt": "Ape, (Fez:2.5)", "seed": 3, "batch_size": 2})
    assert weighted.status_code == 200 and weighted.json()["images"] == others["images"]
    refused = attributes.post("/v1/images/generations", json={"prompt": "Cap, Fez"})
    assert refused.status_code == 422 and refused.json()["error"]["param"] == "prompt"


def test_openapi_types_the_weights(attributes: TestClient) -> None:
    document = attributes.get("/openapi.json").json()
    by_name, text = document["components"]["schemas"]["AttributesBody"]["properties"]["attributes"]["anyOf"]
    assert by_name == {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 3.0}}
    assert text == {"type": "string"}


def test_without_classes_a_seed_is_all_there_is(nothing: TestClient) -> None:
    first, again, other = (nothing.post("/generate", json={"seed": seed}) for seed in (7, 7, 8))
    assert first.status_code == 200 and first.content == again.content != other.content
    refused = nothing.post("/generate", json={"label": 1})
    assert refused.status_code == 400 and "unknown key 'label'; this model takes a seed" in refused.json()["error"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("labels", {"label"}), ("attributes", {"attributes"}), ("nothing", set()), ("client", {"prompt"})],
)
def test_openapi_tells_what_this_model_is_asked_with(
    name: str, asked: set[str], request: pytest.FixtureRequest
) -> None:
    document = request.getfixturevalue(name).get("/openapi.json").json()
    content = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]
    body = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert set(body["properties"]) & {"prompt", "label", "attributes"} == asked == set(body.get("required", ()))


def test_the_page_offers_what_the_model_is_asked_with(
    tiny_bundle: Path, pixel_bundle: Path, attribute_bundle: Path, unconditional_bundle: Path
) -> None:
    shown = {}
    for bundle in (tiny_bundle, pixel_bundle, attribute_bundle, unconditional_bundle):
        manifest = open_bundle(bundle).manifest
        components = page.layout(manifest).config["components"]
        shown[manifest.task] = {
            part["props"].get("label"): part["props"]
            for part in components
            if part["props"].get("visible") not in (False, "hidden")
        }
    assert "Prompt" in shown["text-to-image"] and "Label" not in shown["text-to-image"]
    choices = shown["class-to-image"]["Label"]["choices"]
    assert [value for _, value in choices] == list(tiny.CLASSES) and "Prompt" not in shown["class-to-image"]
    assert not {"Prompt", "Label"} & set(shown["unconditional-image-generation"])
    assert not {"Prompt", "Label", "Attributes"} & set(shown["attributes-to-image"])


def test_the_page_has_a_picker_for_each_slot(attribute_bundle: Path) -> None:
    shown = page.pickers(Pickers(slots={**open_bundle(attribute_bundle).manifest.slots, "<b>": ["<i>"]}))
    assert shown.count("<select") == shown.count('type="range"') == len(tiny.SLOTS) + 1
    assert all(f"<option>{name}</option>" in shown for names in tiny.SLOTS.values() for name in names)
    assert "<b>" not in shown and "<i>" not in shown


def test_drawn_labels_differ_as_the_generator_draws_them(labels: TestClient) -> None:
    pictures = [labels.post("/generate", json={"label": label, "seed": 1}).content for label in range(4)]
    arrays = [np.asarray(Image.open(io.BytesIO(file))) for file in pictures]
    assert len({array.tobytes() for array in arrays}) == 4
