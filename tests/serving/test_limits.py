"""Bodies of pictures: how many large ones are held at a time, over a real socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx

from serving.limits import LARGE_AT_ONCE
from tests.serving.test_server import CAT

LARGE = 2 << 20


def test_only_some_large_bodies_are_held_and_their_place_is_free_again(server: str) -> None:
    place = urlsplit(server)
    head = "POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"

    def large(stack: ExitStack) -> socket.socket:
        client = stack.enter_context(socket.create_connection((place.hostname or "", place.port or 0), timeout=60))
        client.sendall(f"{head}content-length: {LARGE}\r\nexpect: 100-continue\r\n\r\n".encode())
        return client

    with ExitStack() as stack:
        for _ in range(LARGE_AT_ONCE):  # the server asks for the body as soon as it holds a place for it
            assert large(stack).recv(4096).startswith(b"HTTP/1.1 100")
        refused = large(stack).recv(4096)
        assert refused.startswith(b"HTTP/1.1 429") and b"retry-after: 2" in refused
        assert httpx.post(f"{server}/generate", json=CAT).status_code == 200  # a small one goes by
    body = b'{"prompt": "' + b"x" * LARGE + b'"}'
    headers = {"content-type": "application/json"}
    answers = (httpx.post(f"{server}/generate", content=body, headers=headers).status_code for _ in range(1000))
    assert next(status for status in answers if status != 429) == 400  # read, and the prompt is too long
