"""Requests made from the running server's own OpenAPI, a few here and ten thousand by `make fuzz`."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.testclient import TestClient

from benchmarks.load.fuzz import fuzz
from serving.dialect import load_dialects
from serving.dialects import automatic1111_lists
from serving.schema import PICTURE

OTHERS = """
GET /v1/models, GET /v1/models/{name}, GET /v1/models/{owner}/{name}, POST /v1/images/generations
GET /sdapi/v1/options, GET /sdapi/v1/sd-models, GET /sdapi/v1/progress, GET /sdapi/v1/memory
POST /sdapi/v1/options, POST /sdapi/v1/txt2img
"""


def test_the_document_names_every_operation_of_every_dialect(client: TestClient) -> None:
    """And shows a picture where one is taken, without which few requests would get as far as drawing."""
    document = client.get("/openapi.json").json()
    named = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    offered = {f"POST {path}" for dialect in load_dialects() for path in dialect.picture_paths}
    offered |= {f"GET /sdapi/v1/{path}" for path in automatic1111_lists.FIXED}
    offered |= {f"POST /sdapi/v1/{path}" for path in automatic1111_lists.NOTHING_TO_DO}
    assert named == offered | set(OTHERS.replace("\n", ", ").strip(", ").split(", "))
    assert json.dumps(document).count(PICTURE) >= 5


@pytest.mark.slow
def test_no_request_breaks_what_the_document_says(server: str) -> None:
    result = fuzz(server, requests=10)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    assert httpx.get(f"{server}/livez").status_code == 200
