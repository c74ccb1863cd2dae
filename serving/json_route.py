"""Routes of a JSON body and the request, without FastAPI's detours; it knows nothing about what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from serving import error_answers
from serving.schema import without_nulls


class JsonRoute(APIRoute):
    """A route whose endpoint takes a pydantic model and the request, and gives a response.

    Pydantic reads the bytes themselves: 0.2 ms less than FastAPI's general way (measured).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        assert self.body_field is not None
        kind = cast("type[BaseModel]", self.body_field.field_info.annotation)

        async def handle(request: Request) -> Response:
            if error_answers.content_type(request) != error_answers.JSON:
                raise RequestValidationError([])
            try:
                body = _read(kind, await request.body())
            except ValidationError as error:
                raise RequestValidationError(error.errors(include_url=False)) from None
            return cast(Response, await self.endpoint(body, request))

        return handle


def _read(kind: type[BaseModel], content: bytes) -> BaseModel:
    """A body; only one that is refused for a null is read once more, without those that mean a default."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        if not any(one["loc"] and one["input"] is None for one in error.errors(include_url=False)):
            raise
    return kind.model_validate_json(json.dumps(without_nulls(kind, json.loads(content))))


class ShortCut(BaseRoute):
    """The same routes once more, before all others: found by their path at once, and called without the stacks on which FastAPI
    would keep the dependencies and files that they have none of."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Takes those that are `JsonRoute`s."""
        own = [route for route in routes if isinstance(route, JsonRoute)]
        self._routes = {(method, route.path): route for route in own for method in route.methods or ()}
        self._handlers = {route.path: route.get_route_handler() for route in own}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        return (Match.FULL, {"route": route}) if route else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handlers[scope["path"]](Request(scope, receive, send))
        await response(scope, receive, send)
