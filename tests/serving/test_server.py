"""The server that people start: its endpoints, the official OpenAI client, large bodies, hang-ups, a full queue."""

from __future__ import annotations

import asyncio
import base64
import http.client
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from PIL import Image

from base.errors import BadInput
from benchmarks.load.served import free_port
from serving.preflight import check
from serving.serve_config import ServeConfig
from tests.serving.conftest import READY_WITHIN, SERVE, environment

CAT = {"prompt": "a cat", "seed": 7}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics", "/docs.json"])
def test_health_metrics_and_documents(server: str, path: str) -> None:
    assert httpx.get(server + path).status_code == 200


def test_draws(server: str) -> None:
    first, second = (httpx.post(f"{server}/generate", json=CAT) for _ in range(2))
    assert first.status_code == 200 and first.content == second.content
    assert Image.open(io.BytesIO(first.content)).size == (16, 16)


def test_documents_name_our_endpoints(server: str) -> None:
    assert {"/generate", "/v1/images/generations", "/v1/models"} <= set(
        httpx.get(f"{server}/docs.json").json()["paths"]
    )


def test_requests_are_counted(server: str) -> None:
    httpx.post(f"{server}/generate", json=CAT)
    httpx.get(f"{server}/v1/models")
    httpx.get(f"{server}/sdapi/v1/samplers")
    httpx.post(f"{server}/sdapi/v1/png-info", json={})
    httpx.post(f"{server}/v1/chat/completions", json={})
    unknown = [httpx.get(f"{server}/nowhere/{number}").status_code for number in range(3)]
    told = httpx.get(f"{server}/metrics").text
    assert unknown == [404] * 3 and 'ippo_requests_total{route="/generate",status="200"}' in told
    assert 'ippo_requests_total{route="/v1/models",status="200"}' in told
    assert 'ippo_requests_total{route="/sdapi/v1/samplers",status="200"}' in told
    for path in ("/sdapi/v1/png-info", "/v1/chat/completions"):  # routes of a dialect's other files too
        assert f'ippo_requests_total{{route="{path}",status="400"}}' in told
    assert 'ippo_requests_total{route="other",status="404"}' in told and "nowhere" not in told


def test_an_asynchronous_client_learns_that_its_body_is_too_large(server: str) -> None:
    content = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (32 << 20)}}
    asked: Any = {"model": "any", "messages": [{"role": "user", "content": [content]}]}

    async def status() -> int:
        async with openai.AsyncOpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.APIStatusError, match="the body is too large: at most") as refused:
                await client.chat.completions.create(**asked)
            return refused.value.status_code

    assert asyncio.run(status()) == 413


def test_official_openai_client(server: str) -> None:
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0)
    (model,) = client.models.list().data
    answer = client.images.generate(
        model=model.id, prompt="a cat", n=2, size="auto", response_format="b64_json", extra_body={"seed": 7}
    )
    assert answer.data is not None and len(answer.data) == 2
    ours = httpx.post(f"{server}/generate", json=CAT).content
    assert base64.b64decode(answer.data[0].b64_json or "") == ours


def test_official_openai_client_edits(server: str) -> None:
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0)
    file = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(file, "PNG")
    answer = client.images.edit(
        image=("red.png", file.getvalue(), "image/png"), prompt="a cat", n=2, extra_body={"seed": 7, "strength": 0.75}
    )
    assert answer.data is not None and len(answer.data) == 2
    body = {**CAT, "image": base64.b64encode(file.getvalue()).decode(), "strength": 0.75}
    ours = httpx.post(f"{server}/generate", json=body)
    assert ours.status_code == 200 and ours.content != httpx.post(f"{server}/generate", json=CAT).content
    assert base64.b64decode(answer.data[0].b64_json or "") == ours.content
    with pytest.raises(openai.BadRequestError, match="mask has no transparent pixels"):
        client.images.edit(image=file.getvalue(), mask=file.getvalue(), prompt="a cat")


def test_official_openai_client_asks_as_its_users_do(server: str) -> None:
    """A model's name alone, one picture in a list, a mask, sizes of other models, addresses."""
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0)
    assert client.models.retrieve("tiny").id == "tiny"
    drawn = client.images.generate(prompt="a cat", size="1536x1024", response_format="url").data
    assert drawn is not None and (drawn[0].url or "").startswith("data:image/png;base64,")
    assert Image.open(io.BytesIO(base64.b64decode((drawn[0].url or "").partition(",")[2]))).size == (1536, 1024)
    shown, mask = Image.new("RGB", (40, 40), "red"), Image.new("RGBA", (40, 40), "red")
    mask.paste((0, 0, 0, 0), (0, 0, 20, 40))
    files = []
    for picture in (shown, mask):
        file = io.BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())
    edited = client.images.edit(image=[files[0]], mask=files[1], prompt="a cat", size="256x256", stream=False).data
    assert edited is not None
    pixels = Image.open(io.BytesIO(base64.b64decode(edited[0].b64_json or ""))).convert("RGB")
    assert pixels.crop((128, 0, 256, 256)).getcolors() == [(128 * 256, (255, 0, 0))]
    assert pixels.crop((0, 0, 128, 256)).getcolors() != [(128 * 256, (255, 0, 0))]
    with pytest.raises(openai.BadRequestError, match="2 pictures; accepted: one"):
        client.images.edit(image=[files[0], files[0]], prompt="a cat")


def test_official_openai_client_understands_our_errors(server: str) -> None:
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt="a cat", stream=True)
    assert refused.value.param == "stream"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.images.generate(prompt="a cat", model="dall-e-3")
    assert unknown.value.code == "model_not_found"


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("path", "most"), [("/sdapi/v1/txt2img", 1 << 20), ("/generate", 24 << 20)])
def test_a_large_body_is_refused_before_it_is_read(server: str, path: str, most: int, declared: bool) -> None:
    """More is accepted where a request may bring a picture."""
    body = b'{"prompt": "' + b"x" * most + b'"}'
    content = body if declared else (body[start : start + 65536] for start in range(0, len(body), 65536))
    response = httpx.post(f"{server}{path}", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json()["error" if path == "/generate" else "detail"] == (
        f"the body is too large: at most {most} bytes are accepted"
    )


def test_clients_that_hang_up_do_no_harm(server: str) -> None:
    for _ in range(20):
        connection = http.client.HTTPConnection(urlsplit(server).netloc)
        connection.request("POST", "/generate", json.dumps({**CAT, "n": 8}), {"content-type": "application/json"})
        connection.close()
    # Until the server has noticed that they are gone, the queue may be full: a patient client gets its picture.
    answers = (httpx.post(f"{server}/generate", json=CAT).status_code for _ in range(1000))
    assert next(status for status in answers if status != 429) == 200


def test_port_in_use_is_one_line(server: str, config: ServeConfig) -> None:
    result = _launch(config.model_copy(update={"port": urlsplit(server).port}))
    assert "cannot listen on 127.0.0.1" in result.stderr.splitlines()[-1]


def test_bad_bundle_and_backend_end_the_start_with_one_line(config: ServeConfig, tmp_path: Path) -> None:
    missing = _launch(config.model_copy(update={"bundle": tmp_path / "nothing", "port": free_port()}))
    assert missing.returncode == 2 and missing.stderr.splitlines()[-1].startswith("ippo: no bundle")
    backend = _launch(config.model_copy(update={"backend": "ortt", "port": free_port()}))
    assert backend.returncode == 2 and "did you mean 'ort'?" in backend.stderr.splitlines()[-1]
    assert "Traceback" not in missing.stderr + backend.stderr


def test_tensorrt_is_served_where_it_is_installed(
    config: ServeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is checked before a worker starts: a package of the name is there, or the reason names the extra."""
    chosen = config.model_copy(update={"backend": "trt"})
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # so that an installed one is not seen
    with pytest.raises(BadInput, match=r"^backend 'trt' is not installed: pip install 'ippo\[trt\]'$"):
        check(chosen)
    for package in ("tensorrt", "cuda", "cuda/bindings"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    importlib.invalidate_caches()
    check(chosen)
    with pytest.raises(BadInput, match=r"^backend 'trt' runs on cuda, not on webgpu; accepted: auto, cuda$"):
        check(chosen.model_copy(update={"device": "webgpu"}))


def _launch(config: ServeConfig) -> subprocess.CompletedProcess[str]:
    return _run(SERVE, config)


def _run(command: list[str], config: ServeConfig) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(config), capture_output=True, text=True, timeout=READY_WITHIN)


def test_serving_reaches_no_torch_and_a_request_leaves_no_timer(config: ServeConfig) -> None:
    """All that the worker imports, drawing included, by the application that it runs."""
    code = """
import asyncio, gc, sys
from starlette.testclient import TestClient
from serving import page, service
with TestClient(service.Ippo.to_asgi()) as client:
    client.get("/livez").raise_for_status()
    for _ in range(8):
        client.post("/generate", json={"prompt": "a cat", "n": 2, "steps": 2}).raise_for_status()
    timers = [one for one in gc.get_objects() if isinstance(one, asyncio.TimerHandle) and not one.cancelled()]
print(sorted({"torch", "diffusers", "transformers", "training"} & set(sys.modules)), len(timers) < 8)
"""
    result = _run([sys.executable, "-c", code], config)
    assert result.stdout.splitlines()[-1] == "[] True", result.stderr
