"""What all dialects do alike to answer a request: draw its order, say how that went; it knows no dialect and no model."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastapi import Request
from starlette.exceptions import HTTPException

from runtime.formats import MEDIA_TYPE
from runtime.shapes import nearest_size, size_list
from serving.error_answers import CLIENT_GONE
from serving.order import Order
from serving.refused import Refused

if TYPE_CHECKING:  # both import what draws
    from runtime.manifest import Manifest
    from serving.artist import Artist
    from serving.registry import Model, Registry
    from serving.serve_config import ServeConfig
    from serving.stages import OrderResult

T = TypeVar("T")
PATIENCE = ("x-request-timeout", "x-stainless-read-timeout")
"""Headers that say for how many seconds a client waits; the second is what OpenAI's own clients send."""
HEADERS = ("x-seed", "x-drawn-size", "x-dropped-tokens", "x-request-id", "server-timing", "retry-after")
"""What an answer tells beside its body; a page of another origin may read it where it may ask."""
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
                "required": ["seed"],
                "properties": {
                    "b64_json": {"type": "string"},
                    "url": {
                        "type": "string",
                        "description": "A data URL, where the request says `response_format: url`.",
                    },
                    "seed": {"type": "integer"},
                },
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
    result = await unless_gone(request, artist.draw(model, order, patience(request)))
    fields.update({f"{name}_ms": round(time, 2) for name, time in result.timings.milliseconds().items()})
    return result


def headers(order: Order, result: OrderResult) -> dict[str, str]:
    """The headers of an answer with images: the first seed, the timings, tokens that were dropped, the size that was drawn."""
    timings = ", ".join(f"{name};dur={time:.2f}" for name, time in result.timings.milliseconds().items())
    dropped = {"x-dropped-tokens": str(result.dropped)} if result.dropped else {}
    drawn = {"x-drawn-size": size_list([order.size])} if order.answered else {}
    return {"x-seed": str(order.seed), "server-timing": timings, **dropped, **drawn}


def resized(order: Order, asked: tuple[int, int] | None, config: ServeConfig, model: Manifest) -> Order:
    """`order` of the size (W, H) that a client asked for, offered or not; None: the model's own.

    It is drawn at the model's size that is nearest in shape, and resized. Refused: a side that is too long.
    """
    if asked is None:
        return order
    if not all(1 <= side <= config.max_side for side in asked):
        message = (
            f"size {asked[0]}x{asked[1]} is not offered; accepted: auto, or sides of 1 to {config.max_side} pixels"
        )
        raise Refused(message, "size")
    drawn = nearest_size(asked, model.sizes)
    return replace(order, size=drawn, answered=None if drawn == asked else asked)


def images_json(order: Order, result: OrderResult, urls: bool = False) -> dict[str, Any]:
    """Several images as OpenAI's API answers them, each with its seed, in base64 or as data URLs: nothing is kept here."""
    key, prefix = ("url", f"data:{MEDIA_TYPE[order.format]};base64,") if urls else ("b64_json", "")
    images = [
        {key: prefix + base64.b64encode(file).decode(), "seed": order.seed + index}
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


async def unless_gone(request: Request, drawing: Coroutine[Any, Any, T]) -> T:
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
