"""Refuses bodies that are too large or too slow before they are read; it knows nothing about what they hold."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.error_answers import CLIENT_GONE
from serving.serve_config import ServeConfig

HANG_UP = {"connection": "close"}
"""What is still to come of such a body is read by nobody."""
LINGER_SECONDS = 5.0
"""For so long it is thrown away before the connection ends: a client that sends all before it reads would find the connection
broken in place of the answer."""
LARGE_AT_ONCE = 8
"""So many bodies above `max_body` are held at a time: this bounds the memory."""


class BodyLimit:
    """ASGI middleware: whoever reads a body of more than `max_body` bytes gets 413, at once when its length is declared.

    Where the path's dialect says that requests bring pictures, it is `max_picture_body`; of such bodies only some are taken
    at a time, others get 429. A body that takes longer than `body_seconds` to arrive, and as many again for each further
    `max_body` bytes, gets 408.
    """

    def __init__(self, app: ASGIApp, config: ServeConfig) -> None:
        self.app, self.config = app, config
        self.large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        pictures = any(scope["path"] in dialect.picture_paths for dialect in scope["app"].state.dialects)
        body = _Arriving(self, receive, Headers(scope=scope).get("content-length", "0"), pictures)

        async def answer(message: Message) -> None:
            if body.refused and message["type"] == "http.response.body":
                await body.discard()
            await send(message)

        try:
            await self.app(scope, body.receive, answer)
        finally:
            self.large -= body.large


class _Arriving:
    """The body of one request, while it is read."""

    def __init__(self, limit: BodyLimit, receive: Receive, declared: str, pictures: bool) -> None:
        config = limit.config
        self._limit, self._receive, self._declared = limit, receive, declared
        self._piece, self._seconds = config.max_body, config.body_seconds
        self._most = max(config.max_body, config.max_picture_body) if pictures else config.max_body
        self._start = asyncio.get_running_loop().time()
        self._total, self._complete = 0, False
        self.large = False
        """Whether it counts among the large ones."""
        self.refused = False
        """Whether it is too large, or one too many of the large ones."""

    async def receive(self) -> Message:
        """The next part. HTTPException: 413, 429, 408, or 499 where the client hangs up before all of it is there."""
        if self._complete:  # all that can still come is the disconnect
            return await self._receive()
        self._check(int(self._declared) if self._declared.isdigit() else self._most + 1)
        message = await self._in_time()
        if message["type"] == "http.disconnect":  # else a failure of ours to /generate, and bad input to other paths
            raise HTTPException(CLIENT_GONE, "the client is gone")
        self._total += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        self._check(self._total)
        return message

    async def discard(self) -> None:
        """Read what is still to come, for some seconds, and keep nothing of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._complete:
                    self._complete = not (await self._receive()).get("more_body", False)

    def _check(self, size: int) -> None:
        if size > self._most:
            self.refused = True
            raise HTTPException(413, f"the body is too large: at most {self._most} bytes are accepted", HANG_UP)
        if size > self._piece and not self.large:
            if self._limit.large >= LARGE_AT_ONCE:
                self.refused = True
                busy = "too many large pictures are arriving; try again in 2 s"
                raise HTTPException(429, busy, {**HANG_UP, "retry-after": "2"})
            self.large = True
            self._limit.large += 1

    async def _in_time(self) -> Message:
        seconds = self._seconds * (1 + self._total // self._piece)
        try:
            async with asyncio.timeout_at(self._start + seconds):
                return await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body is too slow: it must arrive within {seconds:g} s", HANG_UP) from None
