"""The BentoML service: one process that draws, with the page beside; it knows nothing about how either works.

The supervisor process imports this module as well, so whatever is heavy is imported by the worker's startup.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from fastapi import FastAPI

from export.bundle import open_bundle
from models.errors import BadInput
from serving import api
from serving.config import ServeConfig

NAME = "ippo"


def _configuration() -> ServeConfig:
    try:
        return ServeConfig.from_environment()
    except BadInput as error:
        raise SystemExit(f"ippo: {error}") from None


config = _configuration()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Of the worker: ready once the model is warm; the page follows, so that it delays nobody."""
    from serving.artist import Artist

    app.state.artist = artist = await asyncio.to_thread(Artist.open, config)
    artist.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(artist.close)
        _say(f"draws with {artist.model}: POST {_address()}/generate")
        if config.page:
            page = asyncio.create_task(_add_page(app, stack))
            stack.callback(page.cancel)
        yield


async def _add_page(app: FastAPI, stack: AsyncExitStack) -> None:
    from serving import page

    await page.mount(app, stack)
    _say(f"page: {_address()}/ui")


def _address() -> str:
    """Where the supervisor listens; it tells its worker in the environment."""
    addresses: dict[str, str] = json.loads(os.environ.get("BENTOML_RUNNER_MAP", "{}"))
    return addresses.get(NAME, f"http://{config.host}:{config.port}")


def _say(line: str) -> None:
    print(f"ippo {line}", flush=True)


app = api.build(config)
app.router.lifespan_context = lifespan


@bentoml.service(name=NAME, workers=1, http={"host": config.host, "port": config.port})
@bentoml.asgi_app(app, path="/")
class Ippo:
    """Draws in one step: POST /generate, OpenAI's Images API below /v1, a page at /ui."""

    @staticmethod
    @bentoml.on_deployment
    def check() -> None:
        """In the supervisor, before any worker starts: a bad bundle ends it with one line."""
        try:
            open_bundle(config.bundle)
        except BadInput as error:
            raise SystemExit(f"ippo: {error}") from None
        _say(config.describe())

    async def __is_ready__(self) -> bool:
        return hasattr(app.state, "artist")
