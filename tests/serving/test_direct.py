"""What goes past BentoML's layers and what does not, with two applications of Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from serving.direct import Direct


def says(word: str, *paths: str) -> list[Route]:
    """Routes that answer a word."""

    def answer(request: Request) -> Response:
        return PlainTextResponse(word)

    return [Route(path, answer) for path in paths]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/livez", "whole"),
        ("/files/a.css", "whole"),
        ("/", "mounted"),
        ("/generate", "mounted"),
        ("/livez/x", "mounted"),
        ("/filesystem", "mounted"),
    ],
)
def test_the_whole_application_answers_only_what_is_its_own(path: str, word: str) -> None:
    started = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        started.append(app)
        yield

    mounted = Starlette(routes=says("mounted", "/", "/{path:path}"))
    own = [*says("whole", "/livez"), Mount("/files", routes=says("whole", "/a.css")), Mount("/", mounted)]
    whole = Starlette(routes=[*own, *says("whole", "/")], lifespan=lifespan)
    with TestClient(Direct(whole, mounted)) as client:
        assert client.get(path).text == word and started == [whole]
