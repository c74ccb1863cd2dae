"""The BentoML service: one process that draws, with the page beside; it knows nothing about how either works.

The supervisor process imports this module as well, so whatever is heavy is imported by the worker's startup.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NoReturn

import bentoml
from fastapi import FastAPI

from base.errors import BadInput
from runtime import backend
from runtime.bundle import open_bundle
from serving import request_log
from serving.dialects import native
from serving.serve_config import ServeConfig

NAME = "ippo"
PAGE_SECONDS = 0.5
"""Before the page is loaded, which takes the interpreter for seconds: whoever waits for the service comes first."""
SLACK_SECONDS = 5.0
"""Between our own deadlines and BentoML's, which answers a 504 that says nothing."""

for silenced in ("BENTOML_DO_NOT_TRACK=True", "GRADIO_ANALYTICS_ENABLED=False", "HF_HUB_DISABLE_TELEMETRY=1"):
    os.environ.setdefault(*silenced.split("="))  # nothing that is served calls home; all read them later than this


def application(config: ServeConfig) -> FastAPI:
    """The HTTP interface with the model behind it, alive between the lifespan's start and end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from serving.artist import Artist

        request_log.configure()
        artist = await asyncio.to_thread(Artist.open, config)
        artist.start()
        native.offer(app, artist)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(artist.close)
            _say(f"draws with {' and '.join(artist.models)}: POST {_address(config)}/generate")
            _settle()
            if config.page:  # it follows, so that it delays nobody
                page = asyncio.create_task(_add_page(app, config, stack))
                stack.callback(page.cancel)
            yield

    app = native.build(config)
    app.router.lifespan_context = lifespan
    return app


async def _add_page(app: FastAPI, config: ServeConfig, stack: AsyncExitStack) -> None:
    await asyncio.sleep(PAGE_SECONDS)
    from serving.page import Page

    app.state.page = Page(app)
    stack.push_async_callback(app.state.page.close)
    await app.state.page.show()
    _settle()
    _say(f"page: {_address(config)}/ui")


def _settle() -> None:
    """What was loaded stays, so the garbage collector need not look at it again; what loading freed goes to the system."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # glibc alone keeps it, and gives it when asked: 40 MB of 400
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def check(config: ServeConfig) -> None:
    """Whatever can be known to be wrong before a worker starts. Raises BadInput."""
    for _, folder in config.bundles:
        open_bundle(folder)
    backend.chosen(config.backend)


def _address(config: ServeConfig) -> str:
    """Where the supervisor listens; it tells its worker in the environment."""
    addresses: dict[str, str] = json.loads(os.environ.get("BENTOML_RUNNER_MAP", "{}"))
    return addresses.get(NAME, f"http://{config.host}:{config.port}")


def _say(line: str) -> None:
    print(f"ippo {line}", flush=True)


def _give_up(error: BadInput) -> NoReturn:
    print(f"ippo: {error}", file=sys.stderr)
    raise SystemExit(2)


def _configuration() -> ServeConfig:
    try:
        return ServeConfig.from_environment()
    except BadInput as error:
        _give_up(error)


CONFIG = _configuration()
APP = application(CONFIG)


@bentoml.service(
    name=NAME,
    workers=1,
    http={"host": CONFIG.host, "port": CONFIG.port},
    logging={"access": {"enabled": False}},  # ours knows more
    metrics={"enabled": False},  # likewise
    traffic={"timeout": CONFIG.deadline + CONFIG.body_seconds + SLACK_SECONDS},  # ours come first
    tracing={"excluded_urls": [] if CONFIG.tracing else ["."]},
)
@bentoml.asgi_app(APP, path="/")
class Ippo:
    """Draws in one step: POST /generate, OpenAI's Images API below /v1, a page at /ui."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def before_workers() -> None:
        """Run by the supervisor: what is wrong ends it with one line."""
        try:
            check(CONFIG)
        except BadInput as error:
            _give_up(error)
        _say(CONFIG.describe())

    async def __is_alive__(self) -> bool:
        """`/livez`: a backend that fails whatever it is asked is dead."""
        return bool(APP.state.artist.alive)
