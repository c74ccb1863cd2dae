"""A chat endpoint on loopback that speaks OpenAI's dialect; it captions a picture by its brightness."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


class Endpoint(ThreadingHTTPServer):
    """Answers `left` requests, then 500s; the first `refused` ones get a 429."""

    def __init__(self, left: int = 10**6, refused: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.left, self.refused = left, refused
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.refused:
            self.server.refused -= 1
            return self._send(429, {"error": {"message": "slower"}})
        if self.path != "/v1/chat/completions" or not self.server.left:
            return self._send(500, {"error": {"message": "out of order"}})
        self.server.left -= 1
        self.server.asked.append(body)
        self.server.keys.add(self.headers["authorization"])
        encoded = body["messages"][0]["content"][1]["image_url"]["url"].partition("base64,")[2]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
        message = {"role": "assistant", "content": f"brightness {pixels.mean():.0f}"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return self._send(
            200, {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        )

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@contextmanager
def serving(**options: int) -> Iterator[Endpoint]:
    with Endpoint(**options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
