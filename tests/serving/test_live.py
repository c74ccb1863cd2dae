"""The websocket of the running server: prompts, bodies, frames; the newest wins, and floods do no harm."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketSession, WebSocketUpgradeError, connect_ws
from PIL import Image

from tests.serving.conftest import READY_WITHIN

CAT = {"prompt": "a cat", "seed": 7}


def answer(socket: WebSocketSession) -> tuple[dict[str, Any], bytes]:
    """The next answer that is a picture: what is told, and the file."""
    told = json.loads(socket.receive_text(timeout=READY_WITHIN))
    assert "error" not in told, told
    return told, socket.receive_bytes(timeout=READY_WITHIN)


def error(socket: WebSocketSession) -> str:
    told = json.loads(socket.receive_text(timeout=READY_WITHIN))
    assert "\n" not in told["error"]
    return str(told["error"])


def test_draws_what_generate_draws(server: str) -> None:
    ours = httpx.post(f"{server}/generate", json=CAT).content
    with connect_ws(f"{server}/live") as socket:
        socket.send_text(json.dumps(CAT))
        told, file = answer(socket)
    assert file == ours
    assert (told["message"], told["seed"], told["steps"], told["format"]) == (0, 7, 1, "png")
    assert set(told["ms"]) == {"wait", "draw", "encode", "total"}


def test_what_a_message_leaves_out_stays_as_it_was(server: str) -> None:
    with connect_ws(f"{server}/live") as socket:
        socket.send_text("a cat")
        first, _ = answer(socket)
        socket.send_text(json.dumps({"steps": 2, "format": "webp"}))
        second, file = answer(socket)
        socket.send_text("a dog")
        third, _ = answer(socket)
    assert first["seed"] == second["seed"] == third["seed"]
    assert (second["steps"], third["steps"], third["format"]) == (2, 2, "webp")
    assert Image.open(io.BytesIO(file)).info and Image.open(io.BytesIO(file)).format == "WEBP"


def test_a_frame_is_a_picture_to_start_from(server: str) -> None:
    frame = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(frame, "PNG")
    with connect_ws(f"{server}/live") as socket:
        socket.send_text(json.dumps(CAT))
        _, without = answer(socket)
        socket.send_bytes(frame.getvalue())
        _, started = answer(socket)
        socket.send_text(json.dumps({"image": None}))
        _, again = answer(socket)
    assert started != without == again


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("{", "not valid JSON"),
        ('{"sed": 1}', "did you mean 'seed'?"),
        ('{"n": 2}', "n must be 1"),
        ('{"steps": 9}', "steps"),
        ('{"image": "???"}', "image is not base64"),
        ('{"model": "other"}', "accepted: tiny"),
        ("x" * 2000, "prompt has 2000 characters; at most 1000"),
    ],
)
def test_a_bad_message_is_told_in_one_line_and_changes_nothing(server: str, message: str, says: str) -> None:
    with connect_ws(f"{server}/live") as socket:
        socket.send_text(json.dumps(CAT))
        _, before = answer(socket)
        socket.send_text(message)
        assert says in error(socket)
        socket.send_text("a cat")
        told, after = answer(socket)
    assert told["message"] == 2 and after == before


def test_of_a_flood_only_some_are_drawn_and_the_last_one_is(server: str) -> None:
    numbers = []
    with connect_ws(f"{server}/live") as socket:
        for number in range(500):
            socket.send_text(json.dumps({**CAT, "seed": number, "steps": 4}))
        while not numbers or numbers[-1] != 499:
            told, _ = answer(socket)
            assert told["seed"] == told["message"]
            numbers.append(told["message"])
    assert numbers == sorted(set(numbers)) and len(numbers) < 500
    assert httpx.post(f"{server}/generate", json=CAT).status_code == 200


def test_clients_that_flood_and_leave_do_no_harm(server: str) -> None:
    for _ in range(20):
        with connect_ws(f"{server}/live") as socket:
            for number in range(20):
                socket.send_text(f"a cat {number}")
    assert httpx.post(f"{server}/generate", json=CAT).status_code == 200
    assert "ippo_live 0" in httpx.get(f"{server}/metrics").text


def test_a_message_that_is_too_large_ends_the_connection(server: str) -> None:
    with connect_ws(f"{server}/live") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.send_text("x" * (2 << 20))
        socket.receive_text(timeout=READY_WITHIN)
    assert closed.value.code == 1009


def test_pages_of_other_sites_are_refused(server: str) -> None:
    with pytest.raises(WebSocketUpgradeError), connect_ws(f"{server}/live", headers={"origin": "https://evil.example"}):
        pass
    with connect_ws(f"{server}/live", headers={"origin": server}) as socket:
        socket.send_text("a cat")
        answer(socket)
