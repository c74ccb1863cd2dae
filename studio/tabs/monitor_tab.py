"""The tab that watches one run: live curves and sample grids from the run's own files; it trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from base.errors import BadInput
from base.runs import runs_root
from evaluation import record
from studio import jobs, library, pieces
from studio.messages import one_line, shows

EVERY = 1.0
"""Seconds between two looks."""
NOBODY = pieces.hint("No run in IPPO_RUNS yet: start one under Train.")


def build(opened: Sequence[Any], run: gr.Dropdown) -> None:
    """Lay the tab out; `run` is the run that the studio looks at, chosen here or under Train.

    Runs are looked up when the tab is `opened`.
    """
    with gr.Row():
        own = gr.Dropdown([], value=None, label="Run", elem_id="monitor-run", scale=2)
        status = gr.HTML(NOBODY, elem_id="monitor-status")
    with gr.Row():
        with gr.Column(scale=3):
            curves = gr.HTML(elem_id="monitor-curves")
        with gr.Column(scale=2, elem_classes="studio-side"):
            samples = gr.HTML(elem_id="monitor-samples")
    gr.on([run.change, *opened], choices, run, own, queue=False, show_progress="hidden")
    own.input(choices, own, run, queue=False, show_progress="hidden")
    seen = gr.State("")
    timer = gr.Timer(EVERY)
    for look in (timer.tick, run.change):
        look(_look, [run, seen], [status, curves, samples, seen], queue=False, show_progress="hidden")


def choices(name: str | None) -> Any:
    """The runs there are, and the one that is looked at although it may be gone; the newest where none is."""
    runs = library.runs()
    return gr.Dropdown(list(dict.fromkeys([*runs, *([name] if name else [])])), value=name or next(iter(runs), None))


@shows
def curves_of(name: str) -> str:
    """HTML of all curves of a run."""
    return pieces.charts(record.curves([record.read(name)]))


def state_of(name: str) -> str:
    """What changes when there is something new to show."""
    run = library.run(name)
    files = [run / "metrics.jsonl", run / "samples"]
    times = [(file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists()]
    return f"{name} {times} {jobs.progress(name)}"


def _look(name: str | None, seen: str) -> Any:
    if not name:
        return gr.skip()
    try:
        state = state_of(name)
        if state == seen:
            return gr.skip()
        card = pieces.card(jobs.progress(name))
        files = sorted((runs_root() / name / "samples").glob("*.png"))
        logged = (runs_root() / name / "metrics.jsonl").is_file()
        curves = curves_of(name) if logged else pieces.hint("No metrics yet: they come with the first steps.")
        return card, curves, pieces.samples(files), state
    except (BadInput, FileNotFoundError) as error:
        return (gr.skip() if seen == str(error) else pieces.trouble(one_line(error))), "", "", str(error)
