"""The tab that draws: a model next to its teacher, with their times, and step by step; it knows no family and no task's name.

The widgets for the input are those of the control that the pipeline's task names.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import gradio as gr

from base.errors import BadInput
from models.controls import Choice, Control, Pickers, TextBox
from models.sampling import SAMPLERS
from models.task import task_of
from studio import drawing, library, pieces
from studio.drawing import SamplingSettings
from studio.messages import one_line, tells

NO_TEACHER = "(nothing)"
NO_MODEL = pieces.hint("Choose a model: one of your runs, or one that ships.")
FREE = "(free)"
SEEDS = 10_000
MOST = 16
"""Images of one drawing."""


def build(opened: Sequence[Any]) -> None:
    """Lay the tab out; models are looked up when it is `opened`."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            model = gr.Dropdown([], value=None, label="Model", elem_id="generate-model")
            teacher = gr.Dropdown([NO_TEACHER], value=NO_TEACHER, label="Beside it", elem_id="generate-teacher")
            column = gr.Column()
            with gr.Row():
                seed = gr.Slider(0, SEEDS - 1, 7, step=1, label="Seed", scale=5)
                dice = gr.Button("🎲", scale=1, min_width=48)
            count = gr.Slider(1, MOST, 4, step=1, label="Images")
            with gr.Accordion("How they draw", open=False):
                student_steps = gr.Radio([1, 2, 3, 4], value=1, label="Steps of a student")
                teacher_steps = gr.Slider(2, 250, 50, step=1, label="Steps of a teacher")
                guidance = gr.Slider(0, 10, 2, step=0.25, label="Guidance of a teacher")
                sampler = gr.Radio(list(SAMPLERS), value="ddim", label="Sampler of a teacher")
        with gr.Column(scale=4):
            canvas = gr.HTML(NO_MODEL, elem_id="generate-canvas")
            reel = gr.HTML(elem_id="generate-reel")
    common = [model, teacher, seed, count, teacher_steps, guidance, sampler, student_steps]
    with column:

        @gr.render(inputs=model, triggers=[model.change])  # type: ignore[untyped-decorator]
        def _input(name: str | None) -> None:
            _lay_out(name, common, canvas, reel)

    gr.on(opened, _models, model, model, queue=False, show_progress="hidden")
    model.change(_teachers, model, teacher, show_progress="hidden")
    dice.click(lambda: random.randrange(SEEDS), None, seed, queue=False)


def _lay_out(name: str | None, common: list[Any], canvas: gr.HTML, reel: gr.HTML) -> None:
    """The widgets for one model's input, and the buttons."""
    if not name:
        return
    try:
        pipeline = drawing.open_model(name)
    except (BadInput, FileNotFoundError) as error:
        gr.HTML(pieces.trouble(one_line(error)))
        return
    widgets = _widgets(task_of(pipeline).control())
    with gr.Row():
        draw = gr.Button("Draw", variant="primary", elem_id="generate-draw")
        steps = gr.Button("Step by step", elem_id="generate-steps")
    enter = [widget.submit for widget in widgets if isinstance(widget, gr.Textbox)]
    gr.on([draw.click, *enter], tells(_draw), [*common, *widgets], [canvas, reel])
    steps.click(tells(_film), [*common, *widgets], reel)


def _widgets(control: Control) -> list[Any]:
    """The widgets of a control, in the order in which it reads their values."""
    match control:
        case Pickers():
            return [widget for slot in control.slots for widget in _picker(control, slot)]
        case Choice():
            kind = gr.Radio if control.listed else gr.Dropdown
            names = list(control.choices)
            return [kind(names, value=names[0], label=control.label, elem_id="generate-choice")]
        case TextBox():
            placeholder = control.placeholder
            return [gr.Textbox("", label=control.label, placeholder=placeholder, lines=2, submit_btn=False)]
        case _:
            return []


def _picker(control: Pickers, slot: str) -> tuple[gr.Dropdown, gr.Slider]:
    """A name of a slot or nothing, and its weight."""
    with gr.Row(elem_classes="studio-slot"):
        name = gr.Dropdown([(FREE, ""), *control.slots[slot]], value="", label=slot, min_width=120)
        return name, gr.Slider(0, control.heaviest, 1, step=0.05, label="weight", min_width=120)


def _models(name: str | None) -> Any:
    names = library.models()
    students = [known for known in names if library.teacher_of(known)]
    return gr.Dropdown(names, value=name if name in names else next(iter(students or names), None))


def _teachers(name: str | None) -> Any:
    names = [NO_TEACHER, *(known for known in library.models() if known != name)]
    return gr.Dropdown(names, value=(library.teacher_of(name) if name else None) or NO_TEACHER)


def _draw(
    model: str, teacher: str, seed: int, count: int, steps: int, guidance: float, sampler: str, own: int, *values: Any
) -> tuple[str, str]:
    settings = SamplingSettings(int(steps), guidance, sampler, int(own))
    input = task_of(drawing.open_model(model)).control().read(values)
    seeds = range(int(seed), int(seed) + int(count))
    rows, times = [], []
    for name in (model, *(() if teacher == NO_TEACHER else (teacher,))):
        timed = drawing.draw(name, input, seeds, settings)
        times.append(timed.seconds)
        rows.append(pieces.drawing(name, timed.images, f"{timed.description} · {_seconds(timed.seconds)}"))
    ratio = f"{times[1] / times[0]:.3g} times as fast" if len(times) > 1 and times[0] else ""
    return "".join(rows) + (pieces.hint(f"{model} is {ratio} as {teacher}.") if ratio else ""), ""


def _film(
    model: str, teacher: str, seed: int, count: int, steps: int, guidance: float, sampler: str, own: int, *values: Any
) -> str:
    settings = SamplingSettings(int(steps), guidance, sampler, int(own))
    input = task_of(drawing.open_model(model)).control().read(values)
    films = []
    for name in (model, *(() if teacher == NO_TEACHER else (teacher,))):
        trace = drawing.trace(name, input, int(seed), settings)
        films.append(pieces.film(name, [step.sample for step in trace], [step.x0 for step in trace]))
    return "".join(films)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
