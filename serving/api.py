"""The HTTP interface: `/generate` and OpenAI's Images API, their answers and their errors; it knows no model."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from models.errors import BadInput
from serving.artist import Artist, Pictures
from serving.batcher import QueueFull
from serving.config import ServeConfig
from serving.images import MEDIA_TYPE
from serving.limits import BodyLimit
from serving.schema import BODIES, GenerateBody, ImagesBody, LabelBody, Order, PromptBody, Refused, explain, order

T = TypeVar("T")
OPENAI = "/v1/"
"""Paths below it answer errors in OpenAI's shape."""
CLIENT_GONE = 499
"""nginx's status for a client that hung up; nobody reads it."""


def build(config: ServeConfig) -> FastAPI:
    """The application; it draws once `offer` has given it an artist."""
    app = FastAPI(title="ippo", summary="Draws in one step.", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=config.max_body)
    for kind in (BadInput, RequestValidationError, HTTPException, QueueFull, Exception):
        app.add_exception_handler(kind, _refuse)
    app.add_api_route("/", _home(config), include_in_schema=False)
    if config.page:
        app.add_api_route("/ui/{path:path}", page_to_come, include_in_schema=False)
    app.add_api_route("/v1/images/generations", images_generations, methods=["POST"], responses=ERROR_ANSWERS)
    app.add_api_route("/v1/models", models)
    return app


def offer(app: FastAPI, artist: Artist) -> None:
    """Let the application draw with `artist`: `/generate` takes what the model's task needs."""
    app.state.artist = artist
    app.add_api_route(
        "/generate", DRAW[artist.manifest.task], methods=["POST"], response_class=Response, responses=GENERATE_ANSWERS
    )


async def from_prompt(body: PromptBody, request: Request) -> Response:
    """Draw: one image is answered as it is, several as JSON of OpenAI's shape. The header `x-seed` holds the seed."""
    return await _generate(body, request)


async def from_label(body: LabelBody, request: Request) -> Response:
    """Draw a class: one image is answered as it is, several as JSON. The header `x-seed` holds the seed."""
    return await _generate(body, request)


async def from_nothing(body: GenerateBody, request: Request) -> Response:
    """Draw: one image is answered as it is, several as JSON. The header `x-seed` holds the seed."""
    return await _generate(body, request)


DRAW: dict[str, Callable[..., Any]] = {
    "text-to-image": from_prompt,
    "class-to-image": from_label,
    "unconditional-image-generation": from_nothing,
}
"""Task → who answers `/generate`."""


async def _generate(body: GenerateBody, request: Request) -> Response:
    artist = _artist(request)
    wanted = order(body, artist.config, artist.manifest)
    pictures = await _unless_gone(request, artist.draw(wanted))
    headers = _headers(wanted, pictures)
    if wanted.n == 1:
        return Response(pictures.files[0], media_type=MEDIA_TYPE[wanted.format], headers=headers)
    return JSONResponse(_as_json(wanted, pictures), headers=headers)


async def images_generations(body: ImagesBody, request: Request) -> JSONResponse:
    """OpenAI's Images API."""
    artist = _artist(request)
    if body.model not in (None, artist.manifest.model_name):
        message = f"the model {body.model!r:.60} does not exist; accepted: {artist.manifest.model_name}"
        raise Refused(message, "model", status=404, code="model_not_found")
    wanted = order(body, artist.config, artist.manifest)
    pictures = await _unless_gone(request, artist.draw(wanted))
    return JSONResponse(_as_json(wanted, pictures), headers=_headers(wanted, pictures))


async def models(request: Request) -> dict[str, Any]:
    """OpenAI's list of models: the one that is served."""
    model = {"id": _artist(request).manifest.model_name, "object": "model", "created": 0, "owned_by": "ippo"}
    return {"object": "list", "data": [model]}


async def page_to_come() -> HTMLResponse:
    """In the page's place until it is there: it asks again by itself."""
    return HTMLResponse('<meta http-equiv="refresh" content="1"><p>The page is nearly ready …</p>', status_code=503)


def _home(config: ServeConfig) -> Any:
    async def home() -> RedirectResponse:
        return RedirectResponse("ui/" if config.page else "docs.json")

    return home


def _artist(request: Request) -> Artist:
    return cast(Artist, request.app.state.artist)


async def _unless_gone(request: Request, drawing: Coroutine[Any, Any, T]) -> T:
    """Await `drawing`, and give it up as soon as the client hangs up."""
    task = asyncio.ensure_future(drawing)
    gone = asyncio.ensure_future(request.receive())  # the body is read: all that can still come is the disconnect
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(CLIENT_GONE, "the client is gone")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


def _headers(wanted: Order, pictures: Pictures) -> dict[str, str]:
    times = {"draw": pictures.drawing, "encode": pictures.encoding, "total": pictures.total}
    timing = ", ".join(f"{name};dur={1e3 * seconds:.2f}" for name, seconds in times.items())
    return {"x-seed": str(wanted.seed), "server-timing": timing}


def _as_json(wanted: Order, pictures: Pictures) -> dict[str, Any]:
    images = [
        {"b64_json": base64.b64encode(file).decode(), "seed": wanted.seed + index}
        for index, file in enumerate(pictures.files)
    ]
    return {"created": int(time.time()), "output_format": wanted.format, "data": images}


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Whatever went wrong as one JSON object of one line, in the dialect of the path."""
    refused, headers = _as_refused(request, error)
    if not request.url.path.startswith(OPENAI):
        return JSONResponse({"error": str(refused)}, refused.status, headers)
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    body = {"message": str(refused), "type": kind, "param": refused.key, "code": refused.code}
    return JSONResponse({"error": body}, refused.status, headers)


def _as_refused(request: Request, error: Exception) -> tuple[Refused, dict[str, str]]:
    if isinstance(error, Refused):
        return error, {}
    if isinstance(error, BadInput):
        return Refused(str(error)), {}
    if isinstance(error, RequestValidationError):
        return _invalid(request, error), {}
    if isinstance(error, QueueFull):
        full = Refused(str(error), status=429, code="rate_limit_exceeded")
        return full, {"retry-after": str(error.retry_after)}
    if isinstance(error, HTTPException):
        detail = error.detail
        if error.status_code in (404, 405):
            detail = f"{request.method} {request.url.path!r:.80} is not offered: {HTTPStatus(error.status_code).phrase}"
        return Refused(detail, status=error.status_code), dict(error.headers or {})
    return Refused("drawing failed; the server's log says why", status=500), {}


def _invalid(request: Request, error: RequestValidationError) -> Refused:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refused("the body must be JSON: send the header content-type: application/json", status=415)
    body = ImagesBody if request.url.path.startswith(OPENAI) else BODIES[_artist(request).manifest.task]
    return explain(error.errors(), list(body.model_fields))


ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "One line: what was wrong and what is accepted."},
    429: {"description": "Too many requests are waiting; the header retry-after says when to try again."},
}
GENERATE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image; with n > 1, JSON: {created, output_format, data: [{b64_json, seed}]}.",
        "content": {
            **{media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPE.values()},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    **ERROR_ANSWERS,
}
