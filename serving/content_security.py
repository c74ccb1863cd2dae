"""Keeps a page to its own host: it loads nothing from others and is sent nothing; it knows nothing about what it shows."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import error_answers
from serving.refused import Refused

OWN_ONLY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
"""The browser fetches nothing from anywhere else."""


def own_only(send: Send) -> Send:
    """`send`, with the header that tells browsers to load nothing from other hosts."""

    async def restricted(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["content-security-policy"] = OWN_ONLY
        await send(message)

    return restricted


class OwnOnly:
    """ASGI middleware: the page may load nothing from other hosts, and nobody may send it anything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):  # Gradio would keep files that are sent
            refused = Refused("the page takes nothing", status=405)
            await error_answers.answer(scope["app"], scope["path"], refused)(scope, receive, send)
            return
        await self.app(scope, receive, own_only(send))
