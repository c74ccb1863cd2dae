"""The HTTP interface's frame and `/generate`: what is asked, what is answered; it knows no model."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from serving import answers, error_answers, prometheus
from serving.keys import Keys
from serving.limits import BodyLimit
from serving.request_log import RequestLog
from serving.schema import AttributesBody, GenerateBody, LabelBody, Order, PromptBody, Refused, order
from serving.serve_config import MEDIA_TYPE, ServeConfig

if TYPE_CHECKING:  # the supervisor imports this module as well, and needs nothing that draws
    from serving.artist import Artist, Pictures
    from serving.model import Model

T = TypeVar("T")
PATIENCE = ("x-request-timeout", "x-stainless-read-timeout")
"""Headers that say for how many seconds a client waits; the second is what OpenAI's own clients send."""


def build(config: ServeConfig) -> FastAPI:
    """The application; it draws once `offer` has given it an artist."""
    from serving import admin
    from serving.dialects import automatic1111, openai

    app = FastAPI(title="ippo", summary="Draws in one step.", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=config.max_body, seconds=config.body_seconds)
    app.add_middleware(Keys, keys=config.api_keys, admin_key=config.admin_key)
    if config.cors:
        app.add_middleware(CORSMiddleware, allow_origins=config.cors, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(RequestLog, access=config.access_log)
    for kind in error_answers.HANDLED:
        app.add_exception_handler(kind, error_answers.handle)
    app.add_api_route("/", _home(config), include_in_schema=False)
    if config.page:
        app.add_api_route("/ui/{path:path}", page_to_come, include_in_schema=False)
    app.add_api_route("/metrics", measured, include_in_schema=False)
    app.include_router(openai.router)
    app.include_router(automatic1111.router)
    if config.admin_key:
        app.include_router(admin.router)
    return app


def offer(app: FastAPI, artist: Artist) -> None:
    """Let the application draw with `artist`: `/generate` takes what the model's task needs."""
    from serving.live import live

    app.state.artist, app.state.live = artist, 0
    draw = DRAW[artist.first.manifest.task]
    app.router.add_api_route(
        "/generate",
        draw,
        methods=["POST"],
        response_class=Response,
        responses=answers.GENERATE,
        route_class_override=Direct,
    )
    app.router.routes.insert(0, app.router.routes.pop())  # asked for most, it is looked at first
    app.add_api_websocket_route("/live", live)


class Direct(APIRoute):
    """A route of a JSON body and the request, whose bytes pydantic reads: 0.2 ms less than FastAPI's general way (measured)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        assert self.body_field is not None
        kind = cast("type[BaseModel]", self.body_field.field_info.annotation)

        async def handle(request: Request) -> Response:
            if error_answers.content_type(request) != error_answers.JSON:
                raise RequestValidationError([])
            try:
                body = kind.model_validate_json(await request.body())
            except ValidationError as error:
                raise RequestValidationError(error.errors(include_url=False)) from None
            return cast(Response, await self.endpoint(body, request))

        return handle


async def from_prompt(body: PromptBody, request: Request) -> Response:
    """Draw: one image is answered as it is, several as JSON of OpenAI's shape. The header `x-seed` holds the seed."""
    return await _generate(body, request)


async def from_label(body: LabelBody, request: Request) -> Response:
    """Draw a class: one image is answered as it is, several as JSON. The header `x-seed` holds the seed."""
    return await _generate(body, request)


async def from_attributes(body: AttributesBody, request: Request) -> Response:
    """Draw attributes, each of its own weight: one image is answered as it is, several as JSON. The header `x-seed` holds the
    seed."""
    return await _generate(body, request)


async def from_nothing(body: GenerateBody, request: Request) -> Response:
    """Draw: one image is answered as it is, several as JSON. The header `x-seed` holds the seed."""
    return await _generate(body, request)


DRAW: dict[str, Callable[..., Any]] = {
    "text-to-image": from_prompt,
    "class-to-image": from_label,
    "attributes-to-image": from_attributes,
    "unconditional-image-generation": from_nothing,
}
"""Task → who answers `/generate`."""


async def _generate(body: GenerateBody, request: Request) -> Response:
    artist = artist_of(request)
    model = artist.model(body.model)
    wanted = order(body, artist.config, model.manifest)
    pictures = await drawn(request, model, wanted)
    if wanted.n == 1:
        return Response(pictures.files[0], media_type=MEDIA_TYPE[wanted.format], headers=headers(wanted, pictures))
    return JSONResponse(as_json(wanted, pictures), headers=headers(wanted, pictures))


def artist_of(request: Request) -> Artist:
    """Who draws for the application that is asked."""
    return cast("Artist", request.app.state.artist)


async def drawn(request: Request, model: Model, wanted: Order) -> Pictures:
    """The pictures of an order, given up as soon as the client hangs up; told in the log."""
    artist = artist_of(request)
    told = {"model": model.name, "seed": wanted.seed, "steps": wanted.steps, "n": wanted.n}
    request.state.told.update(told, **({"prompt": wanted.input} if artist.config.log_prompts else {}))
    pictures = await _unless_gone(request, artist.draw(model, wanted, patience(request)))
    request.state.told.update({f"{name}_ms": round(1e3 * time, 2) for name, time in _times(pictures).items()})
    return pictures


def headers(wanted: Order, pictures: Pictures) -> dict[str, str]:
    """What every drawn answer tells: the seed, the times, and how much of the prompt was too much."""
    timing = ", ".join(f"{name};dur={1e3 * seconds:.2f}" for name, seconds in _times(pictures).items())
    dropped = {"x-dropped-tokens": str(pictures.dropped)} if pictures.dropped else {}
    return {"x-seed": str(wanted.seed), "server-timing": timing, **dropped}


def as_json(wanted: Order, pictures: Pictures) -> dict[str, Any]:
    """Several pictures in OpenAI's shape, each with its seed."""
    images = [
        {"b64_json": base64.b64encode(file).decode(), "seed": wanted.seed + index}
        for index, file in enumerate(pictures.files)
    ]
    return {"created": int(time.time()), "output_format": wanted.format, "data": images}


def patience(request: Request) -> float:
    """Seconds that the client waits for its answer, where it says so. Raises Refused."""
    name = next((name for name in PATIENCE if name in request.headers), None)
    if name is None:
        return math.inf
    said = request.headers[name]
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise Refused(f"{name} is {said!r:.40}; accepted: seconds above 0", name)
    return seconds


async def measured(request: Request) -> Response:
    """`/metrics`."""
    state, tasks = request.app.state, len(asyncio.all_tasks())
    now = {"queue_depth": state.artist.depth, "live": state.live, "alive": state.artist.alive, "tasks": tasks}
    return Response(await asyncio.to_thread(prometheus.text, now), media_type=CONTENT_TYPE_LATEST)


async def page_to_come() -> HTMLResponse:
    """In the page's place until it is there: it asks again by itself."""
    return HTMLResponse('<meta http-equiv="refresh" content="1"><p>The page is nearly ready …</p>', status_code=503)


def _home(config: ServeConfig) -> Any:
    async def home() -> RedirectResponse:
        return RedirectResponse("ui/" if config.page else "docs.json")

    return home


def _times(pictures: Pictures) -> dict[str, float]:
    return {
        "wait": pictures.waiting,
        "draw": pictures.drawing,
        "encode": pictures.encoding,
        "total": pictures.total,
    }


async def _unless_gone(request: Request, drawing: Coroutine[Any, Any, T]) -> T:
    """Await `drawing`, and give it up as soon as the client hangs up."""
    task = asyncio.current_task()
    assert task is not None
    gone = asyncio.ensure_future(request.receive())  # the body is read: all that can still come is the disconnect

    def give_up(_: object) -> None:
        task.cancel()

    gone.add_done_callback(give_up)
    try:
        return await drawing
    except asyncio.CancelledError:
        if not gone.done():  # the server's own wish
            raise
        task.uncancel()
        raise HTTPException(error_answers.CLIENT_GONE, "the client is gone") from None
    finally:
        gone.remove_done_callback(give_up)
        gone.cancel()
