"""A request's id, its line of JSON in the log and its count in the metrics; it knows nothing about what requests hold."""

from __future__ import annotations

import json
import logging
import random
import re
import sys
import time
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import prometheus

NAME = "ippo"
HEADER = "x-request-id"
GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""An id that a client or a proxy may give a request."""


class AsJson(logging.Formatter):
    """One line a record, with the fields of `extra={"fields": {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure() -> None:
    """Let the logger `ippo` write to stderr, one line of JSON a record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AsJson())
    logger = logging.getLogger(NAME)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


class RequestLog:
    """ASGI middleware: `request.state.request_id`, which is answered as well; metrics; with `access`, a line a request.

    Handlers add to the line through the dictionary `request.state.log_fields`.
    """

    def __init__(self, app: ASGIApp, access: bool) -> None:
        self.app, self.access = app, access
        self.logger = logging.getLogger(NAME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        id = given if GIVEN.fullmatch(given) else f"{random.getrandbits(64):016x}"
        log_fields: dict[str, object] = {}
        scope.setdefault("state", {}).update(request_id=id, log_fields=log_fields)
        start, status = time.perf_counter(), 101 if scope["type"] == "websocket" else 499

        async def labelled(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            await send(message)

        try:
            await self.app(scope, receive, labelled)
        finally:
            seconds = time.perf_counter() - start
            if scope["type"] == "http":
                route = getattr(scope.get("route"), "path", "") or "other"
                prometheus.requests(route, status).inc()
                prometheus.latency(route).observe(seconds)
            if self.access:
                milliseconds = round(1e3 * seconds, 2)
                line = {"request": id, "path": scope["path"][:200], "status": status, "ms": milliseconds, **log_fields}
                self.logger.info("request", extra={"fields": line})
