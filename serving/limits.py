"""Refuses bodies that are too large or too slow before they are read; it knows nothing about what they hold."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.dialect import dialect_of
from serving.serve_config import ServeConfig

HANG_UP = {"connection": "close"}
"""What is still to come of such a body is read by nobody."""


class BodyLimit:
    """ASGI middleware: whoever reads a body of more than `max_body` bytes gets 413, at once when its length is declared.

    Where the path's dialect says that requests bring pictures, it is `max_picture_body`. A body that takes longer than
    `body_seconds` to arrive, and as many again for each further `max_body` bytes, gets 408.
    """

    def __init__(self, app: ASGIApp, config: ServeConfig) -> None:
        self.app, self.config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, piece = self._most(scope), self.config.max_body
        declared = Headers(scope=scope).get("content-length", "0")
        start = asyncio.get_running_loop().time()
        total, complete = 0, False

        async def limited() -> Message:
            nonlocal total, complete
            if complete:  # all that can still come is the disconnect
                return await receive()
            if not declared.isdigit() or int(declared) > most:
                raise _too_large(most)
            seconds = self.config.body_seconds * (1 + total // piece)
            message = await _in_time(receive, start, seconds)
            total += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if total > most:
                raise _too_large(most)
            return message

        await self.app(scope, limited, send)

    def _most(self, scope: Scope) -> int:
        path = scope["path"]
        pictures = path in dialect_of(path, scope["app"].state.dialects).picture_paths
        return max(self.config.max_body, self.config.max_picture_body) if pictures else self.config.max_body


async def _in_time(receive: Receive, start: float, seconds: float) -> Message:
    try:
        async with asyncio.timeout_at(start + seconds):
            return await receive()
    except TimeoutError:
        raise HTTPException(408, f"the body is too slow: it must arrive within {seconds:g} s", HANG_UP) from None


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is too large: at most {most} bytes are accepted", HANG_UP)
