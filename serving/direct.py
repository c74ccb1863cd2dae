"""Calls the application that BentoML mounts directly, past BentoML's layers; it knows nothing about what either of them serves.

On the way to a mounted application BentoML takes the URL apart for tracing, starts a task, and sets a timer that is never
taken back: each lives as long as the longest request may take, so that a minute of overload left megabytes behind.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Direct:
    """ASGI application: `mounted` for every request but for the paths that are BentoML's own; `whole` for those, and for
    the start and the end."""

    def __init__(self, whole: Starlette, mounted: ASGIApp) -> None:
        """`whole` is BentoML's application, with `mounted` at `/`."""
        self.whole, self.mounted = whole, mounted
        routes, mounts = (
            [
                route.path
                for route in whole.routes
                if isinstance(route, kind) and getattr(route, "app", None) is not mounted
            ]
            for kind in (Route, Mount)
        )
        self._paths = frozenset(routes) - {"/"}
        self._folders = tuple(f"{path}/" for path in mounts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        theirs = scope["type"] == "lifespan" or path in self._paths or path.startswith(self._folders)
        await (self.whole if theirs else self.mounted)(scope, receive, send)
