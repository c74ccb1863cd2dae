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

from models.attributes import HEAVIEST, Slots, attribute_examples
from runtime.bundle import Manifest
from runtime.shapes import size_list
from serving.content_security import OwnOnly
from serving.serve_config import MEDIA_TYPE

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
VERBS = {"text-to-image": "Type", "class-to-image": "Choose", "attributes-to-image": "Compose",
         "unconditional-image-generation": "Turn the dice"}  # fmt: skip
CHOICES = 20
"""Up to so many labels are shown at once."""

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
  <button onclick="ippo.startFrom()" title="From noise again">×</button>
</div>
"""


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
    names = names or (model.model_name,)
    titled = " and ".join(f"<b>{html.escape(name)}</b>" for name in names)
    sizes = [size_list([size]) for size in model.sizes]
    draws = "draws it" if len(names) == 1 else "draw it, side by side,"
    with gr.Blocks(title=f"ippo · {', '.join(names)}", analytics_enabled=False) as page:
        gr.HTML(f"<h1>ippo</h1><p>{VERBS[model.task]}, and {titled} {draws} in one step.</p>", elem_id="ippo-title")
        with gr.Row(elem_id="ippo-desk"):
            start = START.format(width=model.sizes[0][0], height=model.sizes[0][1]) if starts else ""
            gr.HTML(_pictures(names) + start, elem_id="ippo-canvas", elem_classes=["several"] if len(names) > 1 else [])
            with gr.Column(elem_id="ippo-controls", min_width=280):
                wanted = _input(model)
                if model.slots:
                    gr.HTML(pickers(model.slots))
                with gr.Row(elem_id="ippo-seed"):
                    seed = gr.Slider(0, SEEDS - 1, 7, step=1, label="Seed", scale=5)
                    dice = gr.Button("🎲", scale=1, min_width=48, elem_id="ippo-dice")
                with gr.Row():
                    steps = gr.Radio([1, 2, 3, 4], value=1, label="Steps", scale=3, min_width=240)
                    format = gr.Dropdown(list(MEDIA_TYPE), value="png", label="Format", scale=1, min_width=110)
                    size = gr.Dropdown(
                        sizes, value=sizes[0], label="Size", visible=len(sizes) > 1, scale=1, min_width=110
                    )
                _examples(model, wanted)
        gr.HTML(f'<div id="ippo-variations" data-count="{VARIATIONS}"></div>', elem_id="ippo-strip")
        asked = json.dumps(list(model.inputs))
        draw = f"(wanted, ...options) => ippo.draw({asked}, wanted, ...options)"
        options = [seed, steps, format, size]
        gr.on([page.load, wanted.change, *(option.change for option in options)], None, [wanted, *options], js=draw)
        dice.click(None, None, seed, js=f"() => Math.floor(Math.random() * {SEEDS})")
    return page


def _pictures(names: Sequence[str]) -> str:
    figures = []
    for place, name in enumerate(names):
        shown = html.escape(name) if len(names) > 1 else ""
        figures.append(PICTURE.format(number=f"-{place + 1}" if place else "", name=html.escape(name), shown=shown))
    return f'<div class="ippo-pictures">{"".join(figures)}</div>'


def _input(model: Manifest) -> gr.components.Component:
    """What the model is asked with: labels to choose from, or a text field, hidden where others write it or nobody does."""
    if model.slots:
        return gr.Textbox(_texts(model)[0], label="Attributes", visible="hidden", elem_id="ippo-attributes")
    if model.classes:
        control = gr.Radio if len(model.classes) <= CHOICES else gr.Dropdown
        return control(list(model.classes), value=model.classes[0], label="Label", elem_id="ippo-label")
    return gr.Textbox(
        _texts(model)[0], label="Prompt", placeholder="what to draw", lines=2, max_lines=3, autofocus=True,
        visible=bool(model.inputs),
    )  # fmt: skip


def pickers(slots: Slots) -> str:
    """A choice and a weight for each slot; `page.js` keeps them and the text field `ippo-attributes` alike."""
    rows = []
    for slot, names in slots.items():
        options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
        rows.append(PICKER.format(slot=html.escape(slot), options=options, heaviest=HEAVIEST))
    return f'<div id="ippo-slots">{"".join(rows)}<button onclick="ippo.mix()">Somebody else</button></div>'


def _examples(model: Manifest, prompt: gr.components.Component) -> None:
    """Texts to try."""
    if model.inputs and not model.classes:
        with gr.Row(elem_id="ippo-examples"):
            for example in _texts(model):
                choice = gr.Button(example, size="sm", min_width=0)
                choice.click(None, choice, prompt, js="(example) => example")


def _texts(model: Manifest) -> Sequence[str]:
    composed = dict.fromkeys(", ".join(wanted) for wanted in attribute_examples(model.slots, len(EXAMPLES)))
    return model.card.get("examples") or list(composed) or EXAMPLES


def _mount_gradio(app: FastAPI, model: Manifest, names: Sequence[str], starts: bool) -> None:
    script = (Path(__file__).with_name("page.js")).read_text()
    gr.mount_gradio_app(
        app,
        layout(model, names, starts),
        PATH,
        footer_links=[],
        run_history=False,
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=(Path(__file__).with_name("page.css")).read_text(),
        head=f"<script>{script}</script>",
    )
