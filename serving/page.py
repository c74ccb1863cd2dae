"""The Gradio page that draws as one types or chooses: layout here, behaviour in `page.js`; it knows no model's insides.

Every event is handled in the browser, so a keystroke costs one small message and no queue of Gradio's.
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
from starlette.routing import Mount

from models.controls import Choice, Pickers, TextBox
from models.task import Task, task_named, task_of
from runtime.formats import MEDIA_TYPE
from runtime.manifest import Manifest
from runtime.shapes import size_list
from serving.content_security import OwnOnly

PATH = "/ui"
SEEDS = 1000
VARIATIONS = 7
PICTURE = """
<figure id="ippo-picture{number}" class="ippo-picture" data-model="{name}">
  <img alt="" width="384" height="384">
  <figcaption><b>{shown}</b><output></output><a download>Download</a></figcaption>
</figure>
"""
PICKER = """
<div class="ippo-slot">
  <span>{slot}</span>
  <select aria-label="{slot}" onchange="ippo.choose()"><option value="">–</option>{options}</select>
  <input type="range" aria-label="weight of {slot}" min="0" max="{heaviest:g}" step="0.25" value="1" oninput="ippo.choose()">
  <output>1</output>
</div>
"""
START = """
<div id="ippo-start" data-width="{width}" data-height="{height}">
  <label><img alt="">Start from a picture<input type="file" accept="image/*" onchange="ippo.startFrom(this.files[0])"></label>
  <label>strength
    <input id="ippo-strength" type="range" min="0.25" max="1" step="0.25" value="0.5" oninput="ippo.redraw()">
  </label>
  <button onclick="ippo.startFrom()" title="From noise again" aria-label="From noise again">×</button>
</div>
"""
ZONE = """
<div class="ippo-zone" data-zone="{zone}">
  <label><img alt=""><span>{zone}<i>: drop a picture, or choose one</i> <output></output></span>
    <input type="file" accept="image/*" onchange="ippo.choosePicture('{zone}', this)"></label>
  <button onclick="ippo.take('{zone}', ippo.easels[0].image)"
    title="What is drawn now" aria-label="{zone}: what is drawn now">⤵</button>
  <button class="ippo-empty" onclick="ippo.empty('{zone}')" title="Empty {zone}" aria-label="Empty {zone}">×</button>
</div>
"""
PLACES = """
<div id="ippo-places" data-place="{first}" data-width="{width}" data-height="{height}" data-varied="{varied}">
  <nav>{tabs}</nav>
  <div class="ippo-zones">{zones}</div>
  <label id="ippo-mix">pictures
    <input type="range" aria-label="mix" min="0" max="1" step="0.05" value="0.5" oninput="ippo.redraw()"> words</label>
  {focus}
  <p id="ippo-says"><select aria-label="kind of caption" onchange="ippo.redraw()">{kinds}<option>any</option></select>
    <output></output></p>
</div>
"""


FOCUS = """<label id="ippo-focus">content
    <input type="range" aria-label="focus" min="0" max="1" step="0.05" value="0.5" oninput="ippo.redraw()"> style</label>"""


class Page:
    """What is shown at /ui of an application, which draws already."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._route: Mount | None = None
        self._alive = AsyncExitStack()
        self._showing = asyncio.Lock()

    async def show(self) -> None:
        """Show the models that are served now; a page that is there already makes room."""
        async with self._showing:
            registry = self._app.state.registry
            models = list(registry)
            starts = all(model.generator.takes_images for model in models) and registry.config.image_to_image
            page, alive = FastAPI(), AsyncExitStack()
            await asyncio.to_thread(_mount_gradio, page, models[0].manifest, [model.name for model in models], starts)
            await alive.enter_async_context(page.router.lifespan_context(page))
            gradio = next(route.app for route in page.routes if isinstance(route, Mount) and route.path == PATH)
            routes, before, self._route = self._app.router.routes, self._route, Mount(PATH, OwnOnly(gradio))
            routes.insert(1, self._route)  # behind the native dialect only
            if before is not None:
                routes[:] = [route for route in routes if route is not before]
            await self._alive.aclose()
            self._alive = alive

    async def close(self) -> None:
        """End it with the application."""
        await self._alive.aclose()


def layout(model: Manifest, names: Sequence[str] = (), starts: bool = False) -> gr.Blocks:
    """The page of the models `names`, all asked like `model`; `ippo` in the JavaScript is the object of `page.js`.

    `starts`: whether they may start from a picture.
    """
    names, task = names or (model.model_name,), task_of(model)
    suggestions = list(task.suggestions())
    titled = " and ".join(f"<b>{html.escape(name)}</b>" for name in names)
    sizes = [size_list([size]) for size in model.sizes]
    draws = "draws it" if len(names) == 1 else "draw it, side by side,"
    with gr.Blocks(title=f"ippo · {', '.join(names)}", analytics_enabled=False) as page:
        gr.HTML(f"<h1>ippo</h1><p>{task.verb}, and {titled} {draws} in one step.</p>", elem_id="ippo-title")
        with gr.Row(elem_id="ippo-desk"):
            start = START.format(width=model.sizes[0][0], height=model.sizes[0][1]) if starts else ""
            gr.HTML(_pictures(names) + start, elem_id="ippo-canvas", elem_classes=["several"] if len(names) > 1 else [])
            with gr.Column(elem_id="ippo-controls", min_width=280):
                if task.varied:
                    gr.HTML(places(model, task))
                text = _input(task, suggestions)
                if isinstance(control := task.control(), Pickers):
                    gr.HTML(pickers(control))
                with gr.Row(elem_id="ippo-seed"):
                    seed = gr.Slider(0, SEEDS - 1, 7, step=1, label="Seed", scale=5)
                    dice = gr.Button("🎲", scale=1, min_width=48, elem_id="ippo-dice")
                with gr.Row():
                    steps = gr.Radio([1, 2, 3, 4], value=1, label="Steps", scale=3, min_width=240)
                    format = gr.Dropdown(list(MEDIA_TYPE), value="png", label="Format", scale=1, min_width=110)
                    size = gr.Dropdown(
                        sizes, value=sizes[0], label="Size", visible=len(sizes) > 1, scale=1, min_width=110
                    )
                _buttons(suggestions, text, task.unsuggested())
        gr.HTML(f'<div id="ippo-variations" data-count="{VARIATIONS}"></div>', elem_id="ippo-strip")
        field = json.dumps({"name": task.field.name if task.field else None, "required": task.required})
        draw = f"(text, ...options) => ippo.draw({field}, text, ...options)"
        options = [seed, steps, format, size]
        gr.on([page.load, text.change, *(option.change for option in options)], None, [text, *options], js=draw)
        dice.click(None, None, seed, js=f"() => Math.floor(Math.random() * {SEEDS})")
    return page


def _pictures(names: Sequence[str]) -> str:
    figures = []
    for index, name in enumerate(names):
        shown = html.escape(name) if len(names) > 1 else ""
        figures.append(PICTURE.format(number=f"-{index + 1}" if index else "", name=html.escape(name), shown=shown))
    return f'<div class="ippo-pictures">{"".join(figures)}</div>'


def _input(task: Task, suggestions: Sequence[str]) -> gr.components.Component:
    """The widget that holds the input as text; hidden where pickers write it, or where there is none."""
    name = task.field.name if task.field else ""
    start = suggestions[0] if suggestions else ""
    match task.control():
        case Choice() as control:
            kind = gr.Radio if control.listed else gr.Dropdown
            names = list(control.choices)
            return kind(names, value=names[0], label=control.label, elem_id=f"ippo-{name}")
        case Pickers() as control:
            return gr.Textbox(start, label=control.label, visible="hidden", elem_id="ippo-picked")
        case TextBox() as control:
            return gr.Textbox(
                start, label=control.label, placeholder=control.placeholder, lines=2, max_lines=3, autofocus=True,
                elem_id="ippo-text",
            )  # fmt: skip
        case _:
            return gr.Textbox(visible=False)


def places(model: Manifest, task: Task) -> str:
    """*Type · Vary · Mix*, and *Say* where the model writes too, as HTML: zones for pictures, a slider, captions."""
    writers = [flow for name, flow in model.flows.items() if task_named(name).output == "text"]
    tabs = [task.verb, "Vary", "Mix", *(task_named(flow.task).verb for flow in writers[:1])]
    shown = [
        f'<button data-place="{place}" aria-pressed="{str(place == "type").lower()}" onclick="ippo.go(this.dataset.place)">'
        f"{html.escape(tab)}</button>"
        for place, tab in zip(("type", "vary", "mix", "say"), tabs, strict=False)
    ]
    zones = [ZONE.format(zone=zone) for zone in task.varied]
    kinds = [f"<option>{html.escape(kind)}</option>" for flow in writers[:1] for kind in flow.classes]
    width, height = model.picture_size or model.sizes[0]
    return PLACES.format(
        first="type", width=width, height=height, varied=" ".join(task.varied), tabs="".join(shown), zones="".join(zones),
        kinds="".join(kinds), focus=FOCUS if task.vocabulary.local_tokens else "",
    )  # fmt: skip


def pickers(control: Pickers) -> str:
    """A name and a weight for each slot, as HTML; `page.js` keeps them and the text field `ippo-picked` alike."""
    rows = []
    for slot, names in control.slots.items():
        options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
        rows.append(PICKER.format(slot=html.escape(slot), options=options, heaviest=control.heaviest))
    return f'<div id="ippo-slots">{"".join(rows)}<button onclick="ippo.mix()">Somebody else</button></div>'


def _buttons(suggestions: Sequence[str], text: gr.components.Component, unsuggested: str) -> None:
    """A button for each text to try, which writes it into the widget `text`; without any the line that says why."""
    if suggestions:
        with gr.Row(elem_id="ippo-examples"):
            for suggestion in suggestions:
                choice = gr.Button(suggestion, size="sm", min_width=0)
                choice.click(None, choice, text, js="(example) => example")
    elif unsuggested:
        gr.HTML(html.escape(unsuggested), elem_id="ippo-examples")


def _mount_gradio(app: FastAPI, model: Manifest, names: Sequence[str], starts: bool) -> None:
    folder = Path(__file__).parent
    script = (folder / "page.js").read_text(encoding="utf-8")
    gr.mount_gradio_app(
        app,
        layout(model, names, starts),
        PATH,
        footer_links=[],
        run_history=False,
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=(folder / "page.css").read_text(encoding="utf-8"),
        head=f"<script>{script}</script>",
    )
