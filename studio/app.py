"""The studio's page and its server: five tabs over data, training and drawing; it knows nothing of what is in them.

It listens to this machine alone unless told, loads nothing from other hosts, takes no files, and serves none but the
pictures below IPPO_RUNS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from base.errors import BadInput
from serving.content_security import own_only
from studio import library
from studio.pieces import PICTURES
from studio.tabs import compare_tab, data_tab, generate_tab, monitor_tab, train_tab

LOCAL = ("127.0.0.1", "localhost", "::1")
FONTS: dict[str, Any] = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
TITLE = "<h1>ippo studio</h1><p>From captioned images to a model that draws in one step.</p>"


def page() -> gr.Blocks:
    """The page: five tabs."""
    with gr.Blocks(title="ippo studio", analytics_enabled=False) as blocks:
        gr.HTML(TITLE, elem_id="ippo-title")
        run = gr.Dropdown([], value=None, label="Run", elem_id="run", render=False)
        with gr.Tabs(elem_id="studio-tabs"):
            with gr.Tab("Data") as tab:
                data_tab.build([blocks.load, tab.select])
            with gr.Tab("Train") as tab:
                train_tab.build([blocks.load, tab.select], run)
            with gr.Tab("Monitor") as tab:
                monitor_tab.build([tab.select], run)
            with gr.Tab("Generate") as tab:
                generate_tab.build([tab.select])
            with gr.Tab("Compare") as tab:
                compare_tab.build([tab.select])
    return blocks


def application(host: str = LOCAL[0]) -> FastAPI:
    """The server; requests under foreign names are refused, unless it listens to other machines."""
    app = FastAPI(openapi_url=None)
    app.get(PICTURES + "/{name:path}")(picture)
    folder = Path(__file__).parent
    css = "".join(file.read_text("utf-8") for file in (folder.parent / "serving" / "page.css", folder / "studio.css"))
    theme = gr.themes.Soft(**FONTS)
    gr.mount_gradio_app(app, page(), "/", footer_links=[], run_history=False, theme=theme, css=css, ssr_mode=False)
    app.add_middleware(Guard)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL) if host in LOCAL else ["*"])
    return app


def serve(host: str, port: int) -> None:
    """Listen until interrupted; trainings go on."""
    uvicorn.run(
        application(host),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=1,  # an open page listens for ever
    )


def picture(name: str) -> Response:
    """Answer with the file of a picture below IPPO_RUNS."""
    try:
        return FileResponse(library.picture(name), headers={"cache-control": "max-age=31536000, immutable"})
    except BadInput as error:
        return PlainTextResponse(str(error), 404)


class Guard:
    """ASGI middleware: nothing is loaded from other hosts, no file is taken, and no other site's page may ask for anything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := _refusal(scope)):
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, own_only(send))


def _refusal(scope: Scope) -> Response | None:
    """What a request is answered that the studio does not want; None: it is welcome."""
    if scope["path"].rstrip("/").endswith("/upload"):
        return PlainTextResponse("the studio takes no files", 405)
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return PlainTextResponse("the studio listens to its own page alone", 403)
    return None
