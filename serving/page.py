"""The Gradio page that draws as one types or chooses: layout here, behaviour in `page.js`; it draws through `/generate` alone.

Every event is handled in the browser, so a keystroke costs one small request and no queue of Gradio's.
"""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export.bundle import Manifest

PATH = "/ui"
SEEDS = 1000
VARIATIONS = 7
EXAMPLES = (
    "face with tears of joy",
    "red heart",
    "panda on green",
    "strawberry on pink",
    "smiling cat with heart eyes",
    "unicorn on purple",
    "renard sur fond bleu",
)
"""What to try when the bundle's card names no `examples`."""
VERBS = {"text-to-image": "Type", "class-to-image": "Choose", "unconditional-image-generation": "Turn the dice"}
CHOICES = 20
"""Up to so many labels are shown at once."""
OWN_ONLY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
"""The browser fetches nothing from anywhere else."""

PICTURE = """
<figure id="ippo-picture">
  <img alt="" width="384" height="384">
  <figcaption><output></output><a download>Download</a></figcaption>
</figure>
"""


async def mount(app: FastAPI, stack: AsyncExitStack, model: Manifest) -> None:
    """Put the page at /ui of `app`; it lives until `stack` is closed."""
    page = FastAPI()
    await asyncio.to_thread(_mount_gradio, page, model)
    await stack.enter_async_context(page.router.lifespan_context(page))
    gradio = next(route.app for route in page.routes if isinstance(route, Mount) and route.path == PATH)
    app.router.routes.insert(0, Mount(PATH, OwnOnly(gradio)))


def layout(model: Manifest) -> gr.Blocks:
    """The page; `ippo` in the JavaScript is the object of `page.js`."""
    name, verb = html.escape(model.model_name), VERBS[model.task]
    with gr.Blocks(title=f"ippo · {model.model_name}", analytics_enabled=False) as page:
        gr.HTML(f"<h1>ippo</h1><p>{verb}, and <b>{name}</b> draws it in one step.</p>", elem_id="ippo-title")
        with gr.Row(elem_id="ippo-desk"):
            gr.HTML(PICTURE, elem_id="ippo-canvas")
            with gr.Column(elem_id="ippo-controls", min_width=280):
                wanted = _input(model)
                with gr.Row(elem_id="ippo-seed"):
                    seed = gr.Slider(0, SEEDS - 1, 7, step=1, label="Seed", scale=5)
                    dice = gr.Button("🎲", scale=1, min_width=48, elem_id="ippo-dice")
                steps = gr.Radio([1, 2, 3, 4], value=1, label="Steps")
                _examples(model, wanted)
        gr.HTML(f'<div id="ippo-variations" data-count="{VARIATIONS}"></div>', elem_id="ippo-strip")
        draw = "(wanted, seed, steps) => ippo.draw(" + json.dumps(list(model.inputs)) + ", wanted, seed, steps)"
        changes = [page.load, wanted.change, seed.change, steps.change]
        gr.on(changes, None, [wanted, seed, steps], js=draw)
        dice.click(None, None, seed, js=f"() => Math.floor(Math.random() * {SEEDS})")
    return page


def _input(model: Manifest) -> gr.components.Component:
    """What the model is asked with: labels to choose from, or a text field, which stays hidden where it takes nothing."""
    if model.classes:
        control = gr.Radio if len(model.classes) <= CHOICES else gr.Dropdown
        return control(list(model.classes), value=model.classes[0], label="Label", elem_id="ippo-label")
    return gr.Textbox(
        _texts(model)[0], label="Prompt", placeholder="what to draw", lines=2, max_lines=3, autofocus=True,
        visible=bool(model.inputs),
    )  # fmt: skip


def _examples(model: Manifest, prompt: gr.components.Component) -> None:
    """Texts to try."""
    if model.inputs == ("prompt",):
        with gr.Row(elem_id="ippo-examples"):
            for example in _texts(model):
                choice = gr.Button(example, size="sm", min_width=0)
                choice.click(None, choice, prompt, js="(example) => example")


def _texts(model: Manifest) -> Sequence[str]:
    return model.card.get("examples") or EXAMPLES


def _mount_gradio(app: FastAPI, model: Manifest) -> None:
    script = (Path(__file__).with_name("page.js")).read_text()
    gr.mount_gradio_app(
        app,
        layout(model),
        PATH,
        footer_links=[],
        run_history=False,
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=(Path(__file__).with_name("page.css")).read_text(),
        head=f"<script>{script}</script>",
    )


class OwnOnly:
    """ASGI middleware: the page may load nothing from other hosts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def restricted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["content-security-policy"] = OWN_ONLY
            await send(message)

        await self.app(scope, receive, restricted)
