"""Headless Chromium over its DevTools protocol, as much of it as looking at a page needs."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
from httpx_ws import WebSocketSession, connect_ws

QUIET = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --remote-debugging-port=0 --remote-allow-origins=* --window-size=1100,900
"""
SECONDS = 90


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """One tab; `requests` are the addresses it asked for."""

    def __init__(self, profile: Path, *flags: str) -> None:
        program = executable()
        assert program, "no Chromium"
        self._process = subprocess.Popen(
            [program, *QUIET.split(), *flags, f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.requests: list[str] = []
        self._sent = 0

    def __enter__(self) -> Self:
        assert self._process.stderr
        line = next(line for line in self._process.stderr if line.startswith("DevTools listening on "))
        address = urlsplit(line.split()[-1]).netloc
        target = httpx.put(f"http://{address}/json/new?{quote('about:blank')}", timeout=SECONDS).json()
        self._connection: AbstractContextManager[WebSocketSession] = connect_ws(target["webSocketDebuggerUrl"])
        self._socket = self._connection.__enter__()
        for command in ("Network.enable", "Page.enable", "Page.bringToFront"):
            self.call(command)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.__exit__(kind, error, at)
        self._process.terminate()
        self._process.wait(30)
        assert self._process.stderr
        self._process.stderr.close()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result; events that come meanwhile are looked through for requests."""
        self._sent += 1
        self._socket.send_text(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.receive_text(timeout=SECONDS))
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") == self._sent:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, of its promise if it is one."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """The first truthy value of an expression, looked at on every frame."""
        return self.evaluate(
            f"new Promise(done => {{ const look = () => {{ const value = ({expression});"
            " value ? done(value) : requestAnimationFrame(look); }; look(); })"
        )

    def type(self, text: str) -> None:
        """Letter by letter, where the focus is."""
        for letter in text:
            self.call("Input.insertText", text=letter)

    def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])
