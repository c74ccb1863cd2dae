"""Refuses bodies that are too large or too slow before they are read; it knows nothing about what they hold."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HANG_UP = {"connection": "close"}
"""What is still to come of such a body is read by nobody."""


class BodyLimit:
    """ASGI middleware: whoever reads a body of more than `most` bytes gets 413, at once when its length is declared.

    One that takes longer than `seconds` to arrive gets 408.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        until = asyncio.get_running_loop().time() + self.seconds
        total, complete = 0, False

        async def limited() -> Message:
            nonlocal total, complete
            if complete:  # all that can still come is the disconnect
                return await receive()
            if not declared.isdigit() or int(declared) > self.most:
                raise self._too_large()
            message = await self._in_time(receive, until)
            total += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if total > self.most:
                raise self._too_large()
            return message

        await self.app(scope, limited, send)

    async def _in_time(self, receive: Receive, until: float) -> Message:
        try:
            async with asyncio.timeout_at(until):
                return await receive()
        except TimeoutError:
            slow = f"the body is too slow: it must arrive within {self.seconds:g} s"
            raise HTTPException(408, slow, HANG_UP) from None

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is too large: at most {self.most} bytes are accepted", HANG_UP)
