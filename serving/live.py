"""`GET /live`: a websocket that draws what its client sent last; it knows nothing about how images are drawn."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from serving import error_answers
from serving.keys import own_page
from serving.order import RANDOM_SEEDS, Order, order_of
from serving.refused import Refused
from serving.schema import checked

if TYPE_CHECKING:
    from serving.artist import Artist
    from serving.registry import Model, Registry
    from serving.stages import OrderResult

PROTOCOL = "ippo"
IDLE_SECONDS = 600.0
"""A client that sends nothing for so long is sent away."""
ENDS = (WebSocketDisconnect, TimeoutError)
"""What ends a connection without a word: its client is gone, or does not read."""
TOO_MANY, TOO_BIG, AWAY = 1013, 1009, 1001


class Newest:
    """The last message of a client and its number; those before it are forgotten."""

    def __init__(self) -> None:
        self.number = -1
        self._message: str | bytes | None = None
        self._there = asyncio.Event()

    def put(self, message: str | bytes) -> None:
        self.number, self._message = self.number + 1, message
        self._there.set()

    async def take(self) -> tuple[int, str | bytes]:
        await self._there.wait()
        self._there.clear()
        assert self._message is not None
        return self.number, self._message

    async def hold(self, seconds: float) -> None:
        """Let the same message be taken again, when a newer one comes or after some time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._there.wait()
        self._there.set()


async def live(socket: WebSocket) -> None:
    """A message is an input as text, a body of `/generate`, or in bytes a picture to start from; what it leaves out stays.

    Only the newest one is drawn, whatever came while another was under way. The answer is a JSON text
    `{message, seed, …}`, `message` counting the client's from 0, then the image in bytes; or a JSON text `{message, error}`.
    """
    app = socket.app
    if not own_page(socket, app.state.artist.config.cors):
        await socket.close(1008)
        return
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    if app.state.live >= app.state.artist.config.max_live:
        await socket.close(TOO_MANY, "too many are drawing live; try again later")
        return
    app.state.live += 1
    newest = Newest()
    tasks = [asyncio.create_task(_listen(socket, newest)), asyncio.create_task(_answer(socket, newest))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        app.state.live -= 1
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, ENDS):
                raise result


async def _listen(socket: WebSocket, newest: Newest) -> None:
    most = socket.app.state.artist.config.max_body
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        content = message.get("text")
        content = message["bytes"] if content is None else content
        if len(content) > most:
            await socket.close(TOO_BIG, f"a message has at most {most} bytes")
            return
        newest.put(content)


async def _answer(socket: WebSocket, newest: Newest) -> None:
    artist: Artist = socket.app.state.artist
    registry: Registry = socket.app.state.registry
    fields: dict[str, Any] = {"seed": secrets.randbelow(RANDOM_SEEDS)}  # a body of `/generate`, as the messages made it
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                number, message = await newest.take()
        except TimeoutError:
            await socket.close(AWAY, "nothing was asked for a while")
            return
        try:
            changed = _changed(fields, message, registry)
            model, order = _order(changed, artist, registry)
            fields = changed  # not before it is known to be good
            result = await artist.draw(model, order)
        except Exception as error:  # the next message may be drawn
            refused = error_answers.as_refused(error, socket.state.request_id)
            error_answers.count(refused)
            await _send(socket, _failed(number, refused))
            if refused.retry_after is not None:
                await newest.hold(refused.retry_after)
            continue
        await _send(socket, _described(number, order, result), result.files[0])


def _changed(fields: dict[str, Any], message: str | bytes, registry: Registry) -> dict[str, Any]:
    """The fields of a body, changed by a message. Raises Refused."""
    if isinstance(message, bytes):  # a frame
        return {**fields, "image": base64.b64encode(message).decode()}
    if not message.lstrip().startswith("{"):
        return {**fields, **dict.fromkeys(registry.first.manifest.inputs, message)}
    try:
        return {**fields, **json.loads(message)}
    except (ValueError, RecursionError):
        raise Refused("the message is not valid JSON") from None


def _order(fields: dict[str, Any], artist: Artist, registry: Registry) -> tuple[Model, Order]:
    """The model and the order that the fields stand for. Raises Refused."""
    body = checked(registry.first.manifest.task, fields)
    if body.n > 1:
        raise Refused("n must be 1: live, one picture answers a message", "n")
    model = registry.model(body.model)
    return model, order_of(body, artist.config, model.manifest)


def _described(number: int, order: Order, result: OrderResult) -> dict[str, Any]:
    """The JSON text that comes before an image."""
    milliseconds = {name: round(time, 2) for name, time in result.timings.milliseconds().items()}
    dropped = {"dropped_tokens": result.dropped} if result.dropped else {}
    return {
        "message": number,
        "seed": order.seed,
        "steps": order.steps,
        "format": order.format,
        "ms": milliseconds,
    } | dropped


def _failed(number: int, refused: Refused) -> dict[str, Any]:
    later = {} if refused.retry_after is None else {"retry_after": refused.retry_after}
    return {"message": number, "error": str(refused), **later}


async def _send(socket: WebSocket, described: dict[str, Any], file: bytes | None = None) -> None:
    """A client that does not read is given up after as long as a request may take."""
    async with asyncio.timeout(socket.app.state.artist.config.deadline):
        await socket.send_text(json.dumps(described))
        if file is not None:
            await socket.send_bytes(file)
