"""Refuses bodies that are too large before they are read; it knows nothing about what they hold."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: whoever reads a body of more than `most` bytes gets 413, at once when its length is declared."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        total = 0

        async def limited() -> Message:
            nonlocal total
            if int(declared) > self.most:
                raise self._too_large()
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.most:
                raise self._too_large()
            return message

        await self.app(scope, limited, send)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is too large: at most {self.most} bytes are accepted")
