"""What all dialects do alike to answer a request: draw its order, say how that went; it knows no dialect and no model."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastapi import Request
from starlette.exceptions import HTTPException

from runtime.formats import MEDIA_TYPE
from serving.error_answers import CLIENT_GONE
from serving.schema import Order, Refused

if TYPE_CHECKING:  # both import what draws
    from serving.artist import Artist, OrderResult
    from serving.registry import Model, Registry

T = TypeVar("T")
PATIENCE = ("x-request-timeout", "x-stainless-read-timeout")
"""Headers that say for how many seconds a client waits; the second is what OpenAI's own clients send."""
IMAGES_SCHEMA = {
    "type": "object",
    "required": ["created", "output_format", "data"],
    "properties": {
        "created": {"type": "integer"},
        "output_format": {"enum": list(MEDIA_TYPE)},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["b64_json", "seed"],
                "properties": {"b64_json": {"type": "string"}, "seed": {"type": "integer"}},
            },
        },
    },
}
"""The JSON schema of `images_json`."""


def artist_of(request: Request) -> Artist:
    """The artist that draws for the application a request came to."""
    return cast("Artist", request.app.state.artist)


def registry_of(request: Request) -> Registry:
    """The models that the application serves."""
    return cast("Registry", request.app.state.registry)


async def draw(request: Request, model: Model, order: Order) -> OrderResult:
    """Draw an order of `request`, note it in the request's log line, and give it up as soon as the client hangs up.

    Raises Refused, QueueFull, BadInput, and HTTPException 499 where the client is gone.
    """
    artist, fields = artist_of(request), request.state.log_fields
    fields.update(model=model.name, seed=order.seed, steps=order.steps, n=order.n)
    if artist.config.log_prompts:
        fields["prompt"] = model.task.text(order.input)
    result = await _unless_gone(request, artist.draw(model, order, patience(request)))
    fields.update({f"{name}_ms": round(time, 2) for name, time in result.timings.milliseconds().items()})
    return result


def headers(order: Order, result: OrderResult) -> dict[str, str]:
    """The headers of an answer with images: the first seed, the timings, how many tokens of the prompt were dropped."""
    timings = ", ".join(f"{name};dur={time:.2f}" for name, time in result.timings.milliseconds().items())
    dropped = {"x-dropped-tokens": str(result.dropped)} if result.dropped else {}
    return {"x-seed": str(order.seed), "server-timing": timings, **dropped}


def images_json(order: Order, result: OrderResult) -> dict[str, Any]:
    """Several images as OpenAI's API answers them, each with its seed."""
    images = [
        {"b64_json": base64.b64encode(file).decode(), "seed": order.seed + index}
        for index, file in enumerate(result.files)
    ]
    return {"created": int(time.time()), "output_format": order.format, "data": images}


def patience(request: Request) -> float:
    """For how many seconds the client waits, where a header says so; otherwise infinity. Raises Refused."""
    name = next((name for name in PATIENCE if name in request.headers), None)
    if name is None:
        return math.inf
    text = request.headers[name]
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise Refused(f"{name} is {text!r:.40}; accepted: seconds above 0", name)
    return seconds


async def _unless_gone(request: Request, drawing: Coroutine[Any, Any, T]) -> T:
    """Await `drawing`, and give it up as soon as the client hangs up."""
    task = asyncio.current_task()
    assert task is not None
    gone = asyncio.ensure_future(_disconnect(request))

    def give_up(_: object) -> None:
        task.cancel()

    gone.add_done_callback(give_up)
    try:
        return await drawing
    except asyncio.CancelledError:
        if not gone.done():  # the server is stopping
            raise
        task.uncancel()
        raise HTTPException(CLIENT_GONE, "the client is gone") from None
    finally:
        gone.remove_done_callback(give_up)
        gone.cancel()


async def _disconnect(request: Request) -> None:
    """Wait until the client hangs up; what comes of a body that nobody read is let go."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
