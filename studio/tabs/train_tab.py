"""The tab of trainings: a configuration as a form, start, stop, resume; it knows no method and no configuration."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from base.errors import BadInput
from studio import form, jobs, library, pieces
from studio.form import Field
from studio.messages import shows, tells
from studio.tabs.monitor_tab import choices

CHOOSE = pieces.hint("Choose a configuration: every value of it can be changed here.")
NOBODY = pieces.hint("No run yet.")
OPEN = ("", "loop", "optimizer")
"""Groups of fields that are shown unfolded."""
NARROW = 28
"""Letters of a value that has a column to itself no longer."""
Plan = tuple[str, str] | None
"""Configuration and method."""


def build(opened: Sequence[Any], run: gr.Dropdown) -> None:
    """Lay the tab out; `run` is the run that the studio looks at. Files are looked up when it is `opened`."""
    with gr.Row():
        with gr.Column(scale=3):
            with gr.Row():
                config = gr.Dropdown([], value=None, label="Configuration", elem_id="train-config", scale=2)
                method = gr.Dropdown([], value=None, label="Method", elem_id="train-method")
            plan = gr.State(None)
            form_of = gr.Column()
        with gr.Column(scale=2, elem_classes="studio-side"):
            run.render()
            status = gr.HTML(NOBODY, elem_id="train-status")
            with gr.Row():
                stop = gr.Button("Stop", elem_id="train-stop", interactive=False, min_width=80)
                resume = gr.Button("Resume", elem_id="train-resume", interactive=False, min_width=80)
    gr.on(opened, lambda: gr.Dropdown(library.configs()), None, config, queue=False, show_progress="hidden")
    gr.on(opened, choices, run, run, queue=False, show_progress="hidden")
    config.change(_guess, config, [method, plan])
    method.input(lambda config, method: (config, method), [config, method], plan)

    with form_of:

        @gr.render(inputs=plan)  # type: ignore[untyped-decorator]
        def _form(plan: Plan) -> None:
            _lay_out(plan, run)

    shown = gr.State("")
    watched = [status, stop, resume, shown]
    timer = gr.Timer(1.0)
    for look in (timer.tick, run.change):
        look(_look, [run, shown], watched, queue=False, show_progress="hidden")
    stop.click(_stop, run, None).then(_look, [run, shown], watched, show_progress="hidden")
    resume.click(_resume, run, None).then(_look, [run, shown], watched, show_progress="hidden")


def command_of(plan: Plan, known: list[Field], values: list[Any]) -> str:
    """The command that the form stands for. BadInput: as the configuration refuses it."""
    assert plan
    config, method = plan
    file, changed = library.config(config), form.overrides(known, values[:-1], values[-1])
    jobs.config_class(method).load(file, changed)
    return jobs.command(method, file, changed)


def started(plan: Plan, known: list[Field], values: list[Any]) -> str:
    """Start what the form stands for; the name of its run."""
    assert plan
    config, method = plan
    return jobs.start(method, library.config(config), form.overrides(known, values[:-1], values[-1]))


def _lay_out(plan: Plan, run: gr.Dropdown) -> None:
    """The form of one configuration."""
    if plan is None:
        gr.HTML(CHOOSE)
        return
    config, method = plan
    try:
        groups = form.grouped(form.fields(jobs.config_class(method).load(library.config(config))))
    except BadInput as error:
        gr.HTML(pieces.trouble(str(error)))
        return
    known = [field for fields in groups.values() for field in fields]
    top = gr.Column()
    inputs = [control for group, fields in groups.items() for control in _group(group, fields)]
    more = {"label": "Further overrides", "info": "One a line, e.g. loop.steps=2000", "elem_id": "train-more"}
    inputs.append(gr.Textbox("", lines=1, **more))
    with top:  # in sight, however long the form
        command = gr.HTML(_preview(plan, known, *[field.value for field in known], ""), elem_id="train-command")
        start = gr.Button("Start", variant="primary", elem_id="train-start")
    changes = [control.change for control in inputs]
    gr.on(
        changes, lambda *values: _preview(plan, known, *values), inputs, command,
        show_progress="hidden", trigger_mode="always_last",
    )  # fmt: skip
    start.click(tells(lambda *values: _start(plan, known, *values)), inputs, run)


def _group(group: str, fields: list[Field]) -> list[gr.components.Component]:
    with gr.Accordion(group or "the run", open=group in OPEN), gr.Row(elem_classes="studio-fields"):
        return [_control(field) for field in fields]


def _control(field: Field) -> gr.components.Component:
    options: dict[str, Any] = {"label": field.name, "info": field.doc or None, "elem_id": _id(field), "min_width": 220}
    if field.kind != "switch" and len(str(field.value)) > NARROW:
        options["elem_classes"] = "studio-wide"
    match field.kind:
        case "switch":
            return gr.Checkbox(field.value, **options)
        case "choice":
            return gr.Dropdown(list(field.choices), value=field.value, **options)
        case "model":
            first = [("as the configuration says", field.value)]
            options["label"] = f"Start from this model ({field.name})"
            others = [(name, name) for name in library.starts()]
            return gr.Dropdown([*first, *others], value=field.value, allow_custom_value=True, **options)
        case "number":
            return gr.Number(field.value, **options)
        case "words" | "yaml":
            return gr.Textbox(field.value, lines=1, max_lines=4, **options)


def _id(field: Field) -> str:
    return f"field-{field.key.replace('.', '-')}"


@shows
def _preview(plan: Plan, known: list[Field], *values: Any) -> str:
    return f"<pre>{escape(command_of(plan, known, list(values)))}</pre>"


def _start(plan: Plan, known: list[Field], *values: Any) -> Any:
    return choices(started(plan, known, list(values)))


@tells
def _guess(config: str | None) -> tuple[Any, Plan]:
    if not config:
        return gr.Dropdown([], value=None), None
    from training.launch import METHODS

    method = jobs.method_of(library.config(config))
    return gr.Dropdown(list(METHODS), value=method), (config, method)


@tells
def _stop(name: str | None) -> None:
    jobs.stop(name or "")


@tells
def _resume(name: str | None) -> None:
    jobs.resume(name or "")


def _look(name: str | None, shown: str) -> Any:
    """Status and buttons, where they have changed."""
    if not name:
        return gr.skip()
    status = _status(name)
    if status == shown:
        return gr.skip()
    state = next((state for state in ("starting", "running") if f'data-state="{state}"' in status), "")
    there = "studio-trouble" not in status
    resumable = there and not state and 'data-state="finished"' not in status
    return status, gr.Button(interactive=bool(state)), gr.Button(interactive=resumable), status


@shows
def _status(name: str) -> str:
    return pieces.card(jobs.progress(name))
