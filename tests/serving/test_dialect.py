"""A dialect is one file: a made-up one is served by being put into the folder; and paths that nobody offers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving import dialects
from serving.application import application
from serving.dialect import dialect_of, load_dialects
from serving.serve_config import ServeConfig

CAT = {"prompt": "a cat", "seed": 7}
MADE_UP = '''
"""Asks with an address, answers errors as a list."""

from fastapi import APIRouter, Request, Response

from serving.answering import artist_of, draw, headers, registry_of
from serving.dialect import Dialect
from serving.schema import checked, order

router = APIRouter()


@router.get("/picture/{prompt}/{seed}", response_class=Response)
async def picture(prompt: str, seed: int, request: Request) -> Response:
    model = registry_of(request).first
    body = checked(model.manifest.task, {"prompt": prompt, "seed": seed})
    wanted = order(body, artist_of(request).config, model.manifest)
    result = await draw(request, model, wanted)
    return Response(result.files[0], media_type="image/png", headers=headers(wanted, result))


DIALECT = Dialect(
    prefix="/made-up",
    router=lambda model: router,
    error_body=lambda refused: {"errors": [refused.status, str(refused)]},
    error_schema={"type": "object", "required": ["errors"]},
    error_description="A list.",
)
'''
KEY = "made-up-key"


@pytest.fixture
def made_up(config: ServeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServeConfig:
    """The file is in the folder, and forgotten afterwards."""
    (tmp_path / "made_up.py").write_text(MADE_UP)
    monkeypatch.setattr(dialects, "__path__", [*dialects.__path__, str(tmp_path)])
    monkeypatch.setitem(sys.modules, "serving.dialects.made_up", None)  # so that whatever is imported is undone
    monkeypatch.delitem(sys.modules, "serving.dialects.made_up")
    return config


def test_a_file_more_is_a_dialect_more(made_up: ServeConfig) -> None:
    with TestClient(application(made_up), raise_server_exceptions=False) as client:
        ours = client.post("/generate", json=CAT)
        theirs = client.get("/made-up/picture/a cat/7")
        assert theirs.status_code == 200 and theirs.content == ours.content and theirs.headers["x-seed"] == "7"
        refused = client.get("/made-up/picture/%20/7")
        assert (refused.status_code, refused.json()) == (
            400,
            {"errors": [400, "prompt is empty; describe what to draw"]},
        )
        for method, path, status in (
            ("GET", "", 404),
            ("GET", "/x", 404),
            ("PUT", "/picture/a/1", 405),
        ):
            unknown = client.request(method, f"/made-up{path}")
            assert unknown.status_code == status and set(unknown.json()) == {"errors"}
        assert set(client.get("/v1/x").json()["error"]) == {"message", "type", "param", "code"}
        operation = client.get("/openapi.json").json()["paths"]["/made-up/picture/{prompt}/{seed}"]["get"]
        assert operation["responses"]["4XX"]["description"] == "A list."


def test_keys_are_asked_for_in_its_shape(made_up: ServeConfig) -> None:
    locked = ServeConfig.model_validate({**dict(made_up), "api_keys": KEY})
    with TestClient(application(locked)) as client:
        refused = client.get("/made-up/picture/a cat/7")
        assert refused.status_code == 401 and refused.json()["errors"][0] == 401
        assert client.get("/made-up/picture/a cat/7", headers={"x-api-key": KEY}).status_code == 200


SHAPES = {"": {"error"}, "/v1": {"message", "type", "param", "code"}, "/sdapi": {"error", "detail", "body", "errors"}}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
@pytest.mark.parametrize(
    ("prefix", "rest"),
    [
        *[
            ("/v1", rest)
            for rest in ("", "/", "/nothing", "/images", "/images/generations/x", "/models/tiny", "//", "/ü")
        ],
        *[("/sdapi", rest) for rest in ("", "/", "/v1", "/v1/nothing", "/v2/txt2img", "/v1/txt2img/x")],
        *[("", rest) for rest in ("/nowhere", "/v1x", "/sdapix/v1", "/V1/models", "/generate/x", "//v1/models")],
    ],
)
def test_what_is_not_offered_is_answered_in_the_dialects_shape(
    client: TestClient, method: str, prefix: str, rest: str
) -> None:
    answer = client.request(method, f"http://testserver{prefix}{rest}")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/json"
    body: Any = answer.json()
    assert set(body["error"] if prefix == "/v1" else body) == SHAPES[prefix]
    assert "is not offered: Not Found" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/images/generations"),
        ("DELETE", "/v1/models"),
        ("OPTIONS", "/v1/images/edits"),
        ("GET", "/sdapi/v1/txt2img"),
        ("PUT", "/sdapi/v1/options"),
        ("GET", "/generate"),
    ],
)
def test_another_method_is_answered_in_the_dialects_shape(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405 and answer.headers["allow"]
    prefix = dialect_of(path, load_dialects()).prefix
    body: Any = answer.json()
    assert set(body["error"] if prefix == "/v1" else body) == SHAPES[prefix]


def test_the_native_dialect_has_what_no_other_has() -> None:
    dialects = load_dialects()
    assert [dialect.prefix for dialect in dialects] == ["", "/v1", "/sdapi"]
    owners = {
        path: dialect_of(path, dialects).prefix for path in ("/", "/generate", "/v1", "/v1/x", "/v1x", "/sdapi/v1/x")
    }
    assert owners == {"/": "", "/generate": "", "/v1": "/v1", "/v1/x": "/v1", "/v1x": "", "/sdapi/v1/x": "/sdapi"}
