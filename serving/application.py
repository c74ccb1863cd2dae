"""The HTTP application: its middleware, every dialect of `serving/dialects/`, documents and page; it knows no dialect by name.

The supervisor process imports this module as well, so whatever draws is imported by the application's start.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, RedirectResponse

from base import listening
from serving import admin, error_answers, prometheus, request_log, worker_start
from serving.answering import HEADERS
from serving.dialect import dialect_of, load_dialects
from serving.json_route import ShortCut
from serving.keys import Keys
from serving.limits import BodyLimit
from serving.request_log import RequestLog
from serving.serve_config import ServeConfig

SERVICE = "ippo"
"""The name of the BentoML service, by which its worker finds the address."""
UNTRACED: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""Otherwise FastAPI looks for three providers of OpenTelemetry at every request."""
log = logging.getLogger("ippo")
PAGE_SECONDS = 0.5
"""Before the page is loaded, which takes the interpreter for seconds: whoever waits for the service comes first."""

for silenced in ("BENTOML_DO_NOT_TRACK=True", "GRADIO_ANALYTICS_ENABLED=False", "HF_HUB_DISABLE_TELEMETRY=1"):
    os.environ.setdefault(*silenced.split("="))  # nothing that is served calls home; all read them later than this


def application(config: ServeConfig) -> FastAPI:
    """The HTTP interface of the configured bundles, which draws between the lifespan's start and end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                worker_start.begin()
                await _start(app, config, stack)
                worker_start.done()
            except Exception as error:
                worker_start.give_up(error)
            yield

    app = FastAPI(
        title="ippo",
        summary="Draws in one step.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=None if config.tracing else UNTRACED,
    )
    app.add_middleware(BodyLimit, config=config)
    app.add_middleware(Keys, keys=config.api_keys, admin_key=config.admin_key)
    if config.cors:
        asked, told = ["*"], list(HEADERS)
        app.add_middleware(
            CORSMiddleware, allow_origins=config.cors, allow_methods=asked, allow_headers=asked, expose_headers=told
        )
    app.add_middleware(RequestLog, access=config.access_log)
    for kind in error_answers.HANDLED:
        app.add_exception_handler(kind, error_answers.handle)
    return app


async def _start(app: FastAPI, config: ServeConfig, stack: AsyncExitStack) -> None:
    """Load the models, add the routes, accept orders; `stack` undoes it. Raises BadInput."""
    from serving.artist import Artist
    from serving.registry import Registry

    request_log.configure()

    # What draws.
    registry = await asyncio.to_thread(Registry.open, config)
    artist = Artist(config)
    artist.start()
    stack.push_async_callback(artist.close)
    app.state.registry, app.state.artist, app.state.live = registry, artist, 0
    app.state.page, app.state.page_failed = None, False

    # The dialects, the native one first: most requests are its.
    app.state.dialects = load_dialects()
    routers = [dialect.router(registry.first.manifest) for dialect in app.state.dialects]
    app.router.routes.insert(0, ShortCut(route for router in routers for route in router.routes))
    for dialect, router in zip(app.state.dialects, routers, strict=True):
        app.include_router(router, responses=dialect.error_responses)
    if config.admin_key:
        responses = dialect_of(admin.router.prefix, app.state.dialects).error_responses
        app.include_router(admin.router, responses=responses)
    app.add_api_route("/", _home_with_page if config.page else _home_without_page, include_in_schema=False)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    if config.page:
        app.add_api_route("/ui", _home_with_page, include_in_schema=False)
        app.add_api_route("/ui/{path:path}", page_to_come, include_in_schema=False)
    app.router.routes.append(error_answers.NotOffered())

    _say(f"draws with {' and '.join(registry.names)}: POST {address(config)}/generate")
    _settle()
    if config.page:  # it follows, so that it delays nobody
        page = asyncio.create_task(_add_page(app, config, stack))
        stack.callback(page.cancel)


async def _add_page(app: FastAPI, config: ServeConfig, stack: AsyncExitStack) -> None:
    """Show the page; where it cannot be, the log says why, and everything else is served."""
    await asyncio.sleep(PAGE_SECONDS)
    try:
        from serving.page import Page

        app.state.page = Page(app)
        stack.push_async_callback(app.state.page.close)
        await app.state.page.show()
    except Exception as error:
        app.state.page, app.state.page_failed = None, True
        log.error("the page cannot be shown", exc_info=error)
        return
    _settle()
    _say(f"page: {address(config)}/ui")


def _settle() -> None:
    """What was loaded stays, so the garbage collector need not look at it again; what loading freed goes to the system."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # glibc alone keeps it, and gives it when asked: 40 MB of 400
        ctypes.CDLL("libc.so.6").malloc_trim(0)


async def metrics(request: Request) -> Response:
    """`/metrics`, in Prometheus's text format."""
    state, tasks = request.app.state, len(asyncio.all_tasks())
    now = {"queue_depth": state.artist.depth, "live": state.live, "alive": state.artist.alive, "tasks": tasks}
    return Response(await asyncio.to_thread(prometheus.text, now), media_type=prometheus.CONTENT_TYPE)


async def page_to_come(request: Request) -> HTMLResponse:
    """In the page's place until it is there: it asks again by itself, unless the page could not be made."""
    if request.app.state.page_failed:
        return HTMLResponse("<p>The page cannot be shown; the server's log says why.</p>", status_code=500)
    return HTMLResponse('<meta http-equiv="refresh" content="1"><p>The page is nearly ready …</p>', status_code=503)


async def _home_with_page() -> RedirectResponse:
    return RedirectResponse("ui/")


async def _home_without_page() -> RedirectResponse:
    return RedirectResponse("docs.json")


def address(config: ServeConfig) -> str:
    """Where the supervisor listens; it tells its worker in the environment."""
    addresses: dict[str, str] = json.loads(os.environ.get("BENTOML_RUNNER_MAP", "{}"))
    host, _, port = (
        addresses.get(SERVICE, f"http://{config.host}:{config.port}").removeprefix("http://").rpartition(":")
    )
    return listening.url(config.host if host == listening.address_of(config.host) else host, int(port))


def _say(line: str) -> None:
    print(f"ippo {line}", flush=True)
