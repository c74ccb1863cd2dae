"""A dialect is one file: a made-up one is served by being put into the folder; and paths that nobody offers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
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
from serving.order import order_of
from serving.schema import checked

router = APIRouter(prefix="/made-up")


@router.get("/picture/{prompt}/{seed}", response_class=Response)
async def picture(prompt: str, seed: int, request: Request) -> Response:
    model = registry_of(request).first
    body = checked(model.manifest.task, {"prompt": prompt, "seed": seed})
    wanted = order_of(body, artist_of(request).config, model.manifest)
    result = await draw(request, model, wanted)
    return Response(result.files[0], media_type="image/png", headers=headers(wanted, result))


DIALECT = Dialect(
    prefix=router.prefix,
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
        refused = client.get(f"/made-up/picture/{'x' * 2000}/7")
        assert (refused.status_code, refused.json()) == (
            400,
            {"errors": [400, "prompt has 2000 characters; at most 1000"]},
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


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    ("prefix", "paths"),
    [
        (
            "/v1",
            "/v1 /v1/ /v1/nothing /v1/images /v1/images/generations/x /v1/models/ /v1/models/a/b/c /v1// /v1/ü /v1/x%0Ay",
        ),
        (
            "/sdapi",
            "/sdapi /sdapi/ /sdapi/v1 /sdapi/v1/nothing /sdapi/v2/txt2img /sdapi/v1/txt2img/x /sdapi/v1/options/ /sdapi/v1/%0A",
        ),
        ("", "/nowhere /v1x /sdapix/v1 /V1/models /generate/ /generate/x //v1/models /ui /x%0A"),
    ],
)
def test_what_is_not_offered_is_answered_in_the_dialects_shape(
    server: str, method: str, prefix: str, paths: str
) -> None:
    """Of the running server: BentoML would answer what no route matches, in plain text."""
    for path in paths.split():
        answer = httpx.request(method, f"{server}{path}")
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/json", path
        assert shape(answer.json(), prefix) == SHAPES[prefix] and answer.headers["x-request-id"]
        assert "is not offered: Not Found" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "prefix", "allowed"),
    [
        ("GET", "/v1/images/generations", "/v1", "POST"),
        ("DELETE", "/v1/models", "/v1", "GET"),
        ("DELETE", "/v1/models/tiny", "/v1", "GET"),
        ("GET", "/sdapi/v1/interrupt", "/sdapi", "POST"),
        ("OPTIONS", "/v1/images/edits", "/v1", "POST"),
        ("GET", "/sdapi/v1/txt2img", "/sdapi", "POST"),
        ("PUT", "/sdapi/v1/samplers", "/sdapi", "GET"),
        ("GET", "/generate", "", "POST"),
    ],
)
def test_another_method_is_answered_in_the_dialects_shape(
    server: str, method: str, path: str, prefix: str, allowed: str
) -> None:
    answer = httpx.request(method, f"{server}{path}")
    assert answer.status_code == 405 and answer.headers["allow"] == allowed
    assert shape(answer.json(), prefix) == SHAPES[prefix]


def shape(body: Any, prefix: str) -> set[str]:
    """The keys of an error, which OpenAI has one level deeper."""
    return set(body["error"] if prefix == "/v1" else body)


def test_the_native_dialect_has_what_no_other_has() -> None:
    dialects = load_dialects()
    assert [dialect.prefix for dialect in dialects] == ["", "/v1", "/sdapi"]
    owners = {
        path: dialect_of(path, dialects).prefix for path in ("/", "/generate", "/v1", "/v1/x", "/v1x", "/sdapi/v1/x")
    }
    assert owners == {"/": "", "/generate": "", "/v1": "/v1", "/v1/x": "/v1", "/v1x": "", "/sdapi/v1/x": "/sdapi"}
