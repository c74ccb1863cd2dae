"""More than the queue holds, and clients that hang up, while the generator is kept busy."""

from __future__ import annotations

import asyncio
import json
import queue
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from runtime.generator import Generator
from serving.application import application
from serving.artist import DEAD, Artist
from serving.registry import Registry
from serving.schema import PICTURE
from serving.serve_config import ServeConfig

CAT = {"prompt": "a cat", "seed": 7}


@pytest.fixture(scope="module")
def small(config: ServeConfig) -> Iterator[TestClient]:
    """Two images may wait."""
    with TestClient(application(config.model_copy(update={"max_queue": 2}))) as client:
        yield client


def _artist(client: TestClient) -> Artist:
    artist = client.app.state.artist  # type: ignore[attr-defined]
    assert isinstance(artist, Artist)
    return artist


def _generator(client: TestClient) -> Generator:
    registry = client.app.state.registry  # type: ignore[attr-defined]
    assert isinstance(registry, Registry)
    return registry.first.generator


@pytest.mark.parametrize("path", ["/generate", "/v1/images/generations"])
def test_full_queue_answers_429_with_retry_after_and_serves_the_others(small: TestClient, path: str) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    threads = [threading.Thread(target=lambda: answers.put(small.post(path, json=CAT))) for _ in range(4)]
    with _generator(small)._lock:  # one batch is inside the generator, two images wait: the fourth must go
        for thread in threads:
            thread.start()
        refused = answers.get(timeout=30)
        picture = small.post("/generate", json={"prompt": "a cat", "n": 2, "image": "AAAA"})
    assert picture.status_code == 429  # nobody looked whether it is one
    for thread in threads:
        thread.join(30)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "too many requests" in json.dumps(refused.json())
    others = sorted(answers.get_nowait().status_code for _ in range(3))
    # Two wait and one is being drawn; where all four came before the first was taken, two are drawn and two refused.
    assert others in ([200, 200, 200], [200, 200, 429])


def test_pictures_that_wait_to_be_read_are_as_few_as_those_that_wait_to_be_drawn(small: TestClient) -> None:
    assert small.portal is not None
    artist, gate = _artist(small), threading.Event()
    held = [small.portal.start_task_soon(artist._read, gate.wait, 30) for _ in range(2)]
    while artist._reading < 2:
        small.portal.call(asyncio.sleep, 0)
    refused = small.post("/generate", json={**CAT, "image": PICTURE})
    gate.set()
    assert refused.status_code == 429 and all(one.result() for one in held)
    assert small.post("/generate", json={**CAT, "image": PICTURE}).status_code == 200


@pytest.mark.parametrize("path", ["/generate", "/v1/images/generations", "/sdapi/v1/txt2img"])
def test_client_that_hangs_up_is_given_up_before_it_is_drawn(small: TestClient, path: str) -> None:
    """A body, then a disconnect while the generator is held."""
    body = json.dumps(CAT).encode()
    with _generator(small)._lock:
        assert _called(small, path, {"type": "http.request", "body": body}, {"type": "http.disconnect"}) == 499
    assert small.post("/generate", json=CAT).status_code == 200


@pytest.mark.parametrize("path", ["/generate", "/v1/images/generations", "/sdapi/v1/txt2img", "/v1/images/edits"])
def test_client_that_hangs_up_while_its_body_arrives_is_gone(small: TestClient, path: str) -> None:
    """And no failure, which somebody would look into."""
    begun = {"type": "http.request", "body": b"--x\r\n" if "edits" in path else b'{"prompt":', "more_body": True}
    assert _called(small, path, begun, {"type": "http.disconnect"}, {"type": "http.disconnect"}) == 499


def _called(client: TestClient, path: str, *messages: dict[str, Any]) -> int:
    """The status of an answer, of the app called as a server calls it, by hand."""
    sent: list[dict[str, Any]] = []
    kind = b"multipart/form-data; boundary=x" if path.endswith("edits") else b"application/json"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", kind)], "query_string": b""}
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def call() -> None:
        await asyncio.wait_for(client.app(scope, receive, send), 30)  # type: ignore[arg-type]

    assert client.portal is not None
    client.portal.call(call)
    return int(sent[0]["status"])


def test_deadline_passes_in_the_queue(config: ServeConfig) -> None:
    with TestClient(application(config.model_copy(update={"deadline": 0.05}))) as late:
        with _generator(late)._lock:
            refused = late.post("/generate", json=CAT)
        assert refused.status_code == 429 and "not drawn within 0.05 s" in refused.json()["error"]
        assert int(refused.headers["retry-after"]) >= 1
        answers = (late.post("/generate", json=CAT).status_code for _ in range(100))
        assert 200 in answers


def test_a_client_that_waits_for_less_is_answered_sooner_or_refused(small: TestClient) -> None:
    with _generator(small)._lock:
        late = small.post("/generate", json=CAT, headers={"x-request-timeout": "0.05"})
    assert late.status_code == 429 and "not drawn within 0.05 s" in late.json()["error"]
    assert small.post("/generate", json=CAT, headers={"x-stainless-read-timeout": "600"}).status_code == 200
    for nonsense in ("soon", "0", "-1", "nan"):
        refused = small.post("/generate", json=CAT, headers={"x-request-timeout": nonsense})
        assert refused.status_code == 400 and "x-request-timeout is" in refused.json()["error"]


def test_a_live_client_that_does_not_read_is_given_up_without_a_word(config: ServeConfig) -> None:
    with TestClient(application(config.model_copy(update={"deadline": 0.5}))) as client:
        sent = _live(client, "a cat", reads=False)
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send"]


def _live(client: TestClient, *texts: str, reads: bool = True) -> list[dict[str, Any]]:
    """What `/live` sends, called by hand: each text comes when something was told of the one before."""
    sent: list[dict[str, Any]] = []
    told, left = asyncio.Event(), [{"type": "websocket.receive", "text": text} for text in texts]
    left.insert(0, {"type": "websocket.connect"})
    scope = {"type": "websocket", "path": "/live", "headers": [], "query_string": b"", "subprotocols": []}

    async def receive() -> dict[str, Any]:
        if len(left) < len(texts):
            await told.wait()
            told.clear()
        return left.pop(0) if left else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "websocket.send" and not reads:
            await asyncio.Event().wait()
        if "bytes" in message or "error" in message.get("text", ""):
            told.set()

    async def call() -> None:
        await asyncio.wait_for(client.app(scope, receive, send), 30)  # type: ignore[arg-type]

    assert client.portal is not None
    client.portal.call(call)
    return sent


def test_long_prompt_is_refused_where_the_operator_says_so(config: ServeConfig) -> None:
    with TestClient(application(config.model_copy(update={"long_prompts": "refuse"}))) as strict:
        refused = strict.post("/generate", json={"prompt": "cat " * 200})
        assert refused.status_code == 400 and "of its tokens are beyond the" in refused.json()["error"]
        assert strict.post("/generate", json=CAT).status_code == 200


def test_backend_that_always_fails_is_dead(config: ServeConfig, tmp_path: Path) -> None:
    """The graphs of steps 2 to 4 are to be loaded again, and are gone by then."""
    bundle = tmp_path / "bundle"
    shutil.copytree(config.bundle, bundle)
    broken = config.model_copy(update={"bundle": bundle})
    with TestClient(application(broken), raise_server_exceptions=False) as client:
        shutil.rmtree(bundle)
        loaded = _generator(client).backend._sessions  # type: ignore[attr-defined]
        for graph in loaded.keys() - {"one_step"}:
            del loaded[graph]
        for _ in range(DEAD):
            assert _artist(client).alive
            assert client.post("/generate", json={**CAT, "steps": 2}).status_code == 500
        assert not _artist(client).alive
        told = _live(client, json.dumps({**CAT, "steps": 2}), json.dumps({"steps": 1}))
        assert json.loads(told[1]["text"]) == {"message": 0, "error": "drawing failed; the server's log says why"}
        assert json.loads(told[2]["text"])["message"] == 1 and told[3]["bytes"]  # the connection holds
        assert client.post("/generate", json=CAT).status_code == 200  # what is loaded still draws
        assert _artist(client).alive
