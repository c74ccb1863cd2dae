"""What an operator asks for, on a running server: keys, two models, exchange of a model, limits, metrics, logs."""

from __future__ import annotations

import io
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from httpx_ws import WebSocketUpgradeError, connect_ws
from PIL import Image

from runtime.manifest import MANIFEST
from serving.serve_config import ServeConfig
from tests.serving.conftest import launched, wait_until_ready

CAT = {"prompt": "a cat", "seed": 7}
KEYS = ("first-key", "second-key")
ADMIN = "admin-key"
LONG = " ".join(["cat"] * 200)
BODY_SECONDS = 1.0


@pytest.fixture(scope="module")
def other_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle under another name: other hash, same pictures."""
    other = tmp_path_factory.mktemp("other") / "other"
    shutil.copytree(tiny_bundle, other)
    manifest = json.loads((other / MANIFEST).read_text())
    (other / MANIFEST).write_text(json.dumps({**manifest, "model_name": "another"}))
    return other


@pytest.fixture(scope="module")
def logged(
    config: ServeConfig, tiny_bundle: Path, other_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """The address of a server with keys and two models, and its log."""
    given: dict[str, Any] = {
        "models": {"one": tiny_bundle, "two": other_bundle},
        "api_keys": ",".join(KEYS),
        "admin_key": ADMIN,
        "access_log": True,
        "host": "localhost",
        "body_seconds": BODY_SECONDS,
        "cors": "https://friend.example",
    }
    asked = ServeConfig.model_validate({**dict(config), **given})
    log = tmp_path_factory.mktemp("operator") / "log"
    with log.open("w") as output, launched(asked, output.fileno()) as (process, address):
        wait_until_ready(address, process, log)
        yield address, log


@pytest.fixture
def address(logged: tuple[str, Path]) -> str:
    return logged[0]


def test_a_name_is_listened_to_and_told(logged: tuple[str, Path]) -> None:
    address, log = logged
    assert httpx.get(address.replace("127.0.0.1", "localhost") + "/livez").status_code == 200
    assert f"POST {address.replace('127.0.0.1', 'localhost')}/generate" in log.read_text()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """Shows a key."""
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {KEYS[0]}"}, timeout=60) as client:
        yield client


def counted(client: httpx.Client, name: str) -> float:
    """The sum of a metric over its labels that `name` names."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.parametrize(
    "shown",
    [
        {"authorization": f"Bearer {KEYS[1]}"},
        {"x-api-key": KEYS[0]},
        {"authorization": f"Basic {httpx.BasicAuth('me', KEYS[0])._auth_header.split()[1]}"},
    ],
)
def test_a_key_is_shown_in_any_of_three_ways(address: str, shown: dict[str, str]) -> None:
    assert httpx.post(f"{address}/generate", json=CAT, headers=shown).status_code == 200


@pytest.mark.parametrize(
    "path", ["/generate", "/v1/models", "/sdapi/v1/sd-models", "/v1/nothing", "/nothing", "/admin/model"]
)
@pytest.mark.parametrize("shown", [None, "Bearer wrong-key", "Basic !!!", "Bearer first-keyx", "Bearer é"])
def test_without_a_key_nothing_is_answered(address: str, path: str, shown: str | None) -> None:
    headers = {} if shown is None else {"authorization": shown.encode()}
    response = httpx.post(address + path, content=b"x" * 2048, headers=headers)
    assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
    assert "key is missing or wrong" in response.text


def test_health_needs_no_key_and_openai_gets_its_shape(address: str) -> None:
    assert [httpx.get(address + path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200] * 3
    assert httpx.get(f"{address}/v1/models").json()["error"]["code"] == "invalid_api_key"


def test_a_browser_shows_the_key_as_a_subprotocol(address: str) -> None:
    with connect_ws(f"{address}/live", subprotocols=["ippo", f"ippo-key.{KEYS[0]}"]) as live:
        assert live.subprotocol == "ippo"
        live.send_text("a cat")
        assert json.loads(live.receive_text(timeout=60))["message"] == 0
    with pytest.raises(WebSocketUpgradeError), connect_ws(f"{address}/live"):
        pass


def test_only_named_origins_may_ask(client: httpx.Client) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    friend = client.options("/generate", headers={"origin": "https://friend.example", **asked})
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"
    drawn = client.post("/generate", json=CAT, headers={"origin": "https://friend.example"})
    assert {"x-seed", "x-drawn-size"} <= set(drawn.headers["access-control-expose-headers"].split(", "))
    assert (
        "access-control-allow-origin"
        not in client.options("/generate", headers={"origin": "https://x.org", **asked}).headers
    )


def test_two_models_are_listed_and_chosen(client: httpx.Client) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["one", "two"]
    for asked, drawn in ((None, "one"), ("one", "one"), ("two", "two")):
        file = client.post("/generate", json={**CAT, "model": asked}).content
        assert Image.open(io.BytesIO(file)).info["model"] == drawn
    unknown = client.post("/generate", json={**CAT, "model": "three"})
    assert unknown.status_code == 404 and "accepted: one, two" in unknown.json()["error"]
    assert client.post("/v1/images/generations", json={**CAT, "model": "two"}).status_code == 200


def swap(client: httpx.Client, **body: str) -> httpx.Response:
    return client.post("/admin/model", json=body, headers={"authorization": f"Bearer {ADMIN}"}, timeout=120)


def test_a_model_is_exchanged_under_load_and_nobody_notices(
    client: httpx.Client, tiny_bundle: Path, other_bundle: Path
) -> None:
    def hash_of() -> str:
        answer = client.post("/generate", json={**CAT, "model": "one"})
        assert answer.status_code == 200
        return str(Image.open(io.BytesIO(answer.content)).info["model_hash"])

    before = hash_of()
    stop, seen = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            seen.append(hash_of())

    asking = threading.Thread(target=ask)
    asking.start()
    answer = swap(client, bundle=str(other_bundle), model="one")
    after = hash_of()
    stop.set()
    asking.join()
    assert answer.status_code == 200 and answer.json()["model"] == "one"  # the operator's name stays
    assert after == answer.json()["hash"] != before == answer.json()["replaced"]["hash"]
    assert set(seen) <= {before, after}
    assert swap(client, bundle=str(tiny_bundle), model="one").status_code == 200
    assert hash_of() == before


def test_a_bad_bundle_changes_nothing(
    client: httpx.Client, tiny_bundle: Path, pixel_bundle: Path, tmp_path: Path
) -> None:
    before = client.get("/sdapi/v1/sd-models").json()
    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    (broken / "one_step.onnx").write_bytes(b"nothing")
    for bundle, says in (
        (tmp_path, "is no bundle"),
        (broken, "was altered"),
        (pixel_bundle, "accepted: text-to-image"),
    ):
        refused = swap(client, bundle=str(bundle))
        assert refused.status_code == 422 and says in refused.json()["error"]
    assert client.get("/sdapi/v1/sd-models").json() == before
    assert client.post("/generate", json=CAT).status_code == 200


def test_an_api_key_is_no_admin_key(client: httpx.Client, tiny_bundle: Path) -> None:
    assert client.post("/admin/model", json={"bundle": str(tiny_bundle)}).status_code == 401


def test_dropped_tokens_are_told_and_counted(client: httpx.Client) -> None:
    before = counted(client, "ippo_dropped_tokens_total")
    answer = client.post("/generate", json={"prompt": LONG, "seed": 1})
    dropped = int(answer.headers["x-dropped-tokens"])
    assert dropped > 0 and counted(client, "ippo_dropped_tokens_total") == before + dropped
    assert "x-dropped-tokens" not in client.post("/generate", json=CAT).headers


def test_metrics_tell_stages_batches_and_why_requests_were_refused(client: httpx.Client) -> None:
    names = [f'ippo_stage_seconds_count{{stage="{stage}"}}' for stage in ("wait", "draw", "encode")]
    names += ["ippo_batch_size_count", 'ippo_images_total{model="two"}', 'ippo_rejected_total{reason="input"}']
    names += ['ippo_rejected_total{reason="key"}', 'ippo_requests_total{route="other",status="401"}']
    before = [counted(client, name) for name in names]
    client.post("/generate", json={**CAT, "model": "two"})
    client.post("/generate", json={"prompt": "x" * 2000})
    httpx.post(client.base_url.join("/generate"), json=CAT)
    after = [counted(client, name) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1] * 8
    text = client.get("/metrics").text
    assert "ippo_queue_depth 0\n" in text and "ippo_alive 1\n" in text


def test_a_line_of_json_a_request_with_its_id_and_without_its_prompt(
    client: httpx.Client, logged: tuple[str, Path]
) -> None:
    given = client.post("/generate", json={**CAT, "prompt": "a secret wish"}, headers={"x-request-id": "me-1"})
    made = client.post("/generate", json={"prompt": ""}, headers={"x-request-id": "not\tone"})
    assert given.headers["x-request-id"] == "me-1" and len(made.headers["x-request-id"]) == 16
    text = logged[1].read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (mine,) = (line for line in lines if line.get("request") == "me-1")
    assert (mine["path"], mine["status"], mine["seed"], mine["model"]) == ("/generate", 200, 7, "one")
    assert mine["total_ms"] >= mine["draw_ms"] > 0
    assert "a secret wish" not in text and not any(key in text for key in (*KEYS, ADMIN))


def test_a_body_that_trickles_is_given_up(address: str) -> None:
    place = urlsplit(address)
    head = f"POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: {KEYS[0]}\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=60) as connection:
        connection.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        answer = b""
        while part := connection.recv(4096):  # until the server hangs up
            answer += part
    assert answer.startswith(b"HTTP/1.1 408") and b"must arrive within 1 s" in answer
