"""Which requests are let through: API keys, and the browsers' pages that may ask; it knows nothing about what requests hold."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from serving import error_answers
from serving.refused import Refused

OPEN = ("/ui", "/openapi.json", "/metrics")
"""What needs no key besides `/`: the page asks with its user's."""
ADMIN = "/admin/"
SUBPROTOCOL = "ippo-key."
"""Browsers cannot send headers with a websocket: a key comes as the subprotocol `ippo-key.KEY`, with `ippo`."""


class Keys:
    """ASGI middleware: answers 401 before a body is read, unless a key is shown; `/admin/` has its own.

    A key comes as `Authorization: Bearer KEY`, as the password of HTTP Basic, as `X-API-Key`, or as a subprotocol.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[SecretStr], admin_key: SecretStr | None) -> None:
        self.app = app
        self._keys = [_digest(key.get_secret_value()) for key in keys]
        self._admin = [_digest(admin_key.get_secret_value())] if admin_key else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._lets_through(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            message = "the key is missing or wrong: send the header authorization: Bearer KEY"
            refused = Refused(message, status=401, code="invalid_api_key")
            answer = error_answers.answer(scope["app"], scope["path"], refused, {"www-authenticate": "Bearer"})
            await answer(scope, receive, send)

    def _lets_through(self, scope: Scope) -> bool:
        path = scope["path"]
        if self._admin and path.startswith(ADMIN):  # without an admin key there is nothing below it
            return _shown(scope, self._admin)
        open_to_all = path == "/" or path in OPEN or path.startswith("/ui/")
        return not self._keys or open_to_all or _shown(scope, self._keys)


def own_page(socket: WebSocket, allowed: Iterable[str]) -> bool:
    """Whether no browser asks for another site's page: websockets know no CORS."""
    origin = socket.headers.get("origin")
    return origin is None or origin in allowed or urlsplit(origin).netloc == socket.headers.get("host")


def _shown(scope: Scope, keys: list[bytes]) -> bool:
    """Whether a key is shown; takes as long for every wrong one."""
    return sum(hmac.compare_digest(key, _digest(given)) for given in _given(scope) for key in keys) > 0


def _given(scope: Scope) -> list[str]:
    headers = Headers(scope=scope)
    kind, _, value = headers.get("authorization", "").partition(" ")
    given = [headers.get("x-api-key", "")]
    if kind.lower() == "bearer":
        given.append(value.strip())
    elif kind.lower() == "basic":
        given.append(_password(value))
    given += [name.removeprefix(SUBPROTOCOL) for name in scope.get("subprotocols", ()) if name.startswith(SUBPROTOCOL)]
    return [key for key in given if key]


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
