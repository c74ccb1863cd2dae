"""Whatever goes wrong as one JSON object of one line, in the shape of the path's dialect; it knows no dialect by name."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, params
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from base.errors import BadInput
from models.task import task_named
from serving import prometheus
from serving.batcher import QueueFull
from serving.dialect import dialect_of
from serving.refused import Refused, explain
from serving.schema import keys_of

JSON, FORM = "application/json", "multipart/form-data"
FORMS = (FORM, "application/x-www-form-urlencoded")
"""What a form without files may be sent as."""
CLIENT_GONE = 499
"""nginx's status for a client that hung up; nobody reads it."""
REASONS = {
    401: "key",
    403: "key",
    404: "not_found",
    405: "not_found",
    408: "slow",
    413: "too_large",
    CLIENT_GONE: "gone",
}
"""Status → why, in the metrics; other 4xx are bad input."""
HANDLED = (BadInput, RequestValidationError, HTTPException, QueueFull, Exception)
log = logging.getLogger("ippo")


async def handle(request: Request, error: Exception) -> JSONResponse:
    """The answer to an exception of `HANDLED`, counted."""
    refused, headers = _as_refused(request, error)
    return answer(request.app, request.url.path, refused, headers)


class NotOffered(BaseRoute):
    """The route of every path that no other one takes: 404.

    BentoML hands the application only requests that a route matches, and answers others itself, in plain text. The match is
    a partial one: each route that takes the path and the method comes before it, BentoML's own as well.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.PARTIAL, {"route": self}) if scope["type"] == "http" else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(404)


class OneLinePath:
    """ASGI middleware before BentoML's mount, which does not match a path with a line break and would answer it itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "\n" in scope.get("path", ""):
            scope = {**scope, "path": scope["path"].replace("\n", "%0A")}
        await self.app(scope, receive, send)


def answer(app: FastAPI, path: str, refused: Refused, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request for `path` that is refused, in the shape of the dialect that the path belongs to; counted."""
    count(refused)
    headers = dict(headers or {})
    if refused.retry_after is not None:
        headers["retry-after"] = str(refused.retry_after)
    body = dialect_of(path, app.state.dialects).error_body(refused)
    return JSONResponse(body, refused.status, headers)


def count(refused: Refused) -> None:
    """Count a refusal in the metrics, by its reason."""
    prometheus.REJECTED.labels(_reason(refused)).inc()


def as_refused(error: Exception, request_id: str) -> Refused:
    """What drawing raises for a request that is not served, as a refusal; what is no fault of the request is logged."""
    if isinstance(error, QueueFull):
        return Refused(str(error), status=429, code="rate_limit_exceeded", retry_after=error.retry_after)
    if isinstance(error, BadInput):
        return error if isinstance(error, Refused) else Refused(str(error))
    log.error("failed", exc_info=error, extra={"fields": {"request": request_id}})
    return Refused("drawing failed; the server's log says why", status=500)


def content_type(request: Request) -> str:
    """The media type of the request's body, in small letters and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_form(request: Request) -> None:
    """Refused: the body is no form, of which FastAPI would read nothing and say so of its first key."""
    if content_type(request) not in FORMS:
        raise _other_type(FORM)


def _other_type(expected: str) -> Refused:
    return Refused(f"the body must be {expected}: say so in the header content-type", status=415)


def _reason(refused: Refused) -> str:
    if refused.status == 429:
        return "deadline" if refused.code == "deadline_exceeded" else "queue_full"
    return REASONS.get(refused.status, "failed" if refused.status >= 500 else "input")


def _as_refused(request: Request, error: Exception) -> tuple[Refused, dict[str, str]]:
    if isinstance(error, RequestValidationError):
        return _invalid(request, error), {}
    if isinstance(error, HTTPException):
        detail = error.detail
        if error.status_code in (404, 405):
            detail = f"{request.method} {request.url.path!r:.80} is not offered: {HTTPStatus(error.status_code).phrase}"
        return Refused(detail, status=error.status_code), dict(error.headers or {})
    return as_refused(error, request.state.request_id), {}


def _invalid(request: Request, error: RequestValidationError) -> Refused:
    body = request.scope["route"].body_field
    expected = FORM if isinstance(body.field_info, params.Form) else JSON
    if content_type(request) != expected:
        return _other_type(expected)
    task = task_named(request.app.state.registry.first.manifest.task)  # that of all served models
    return explain(error.errors(), keys_of(body.field_info.annotation), task.further_keys())
