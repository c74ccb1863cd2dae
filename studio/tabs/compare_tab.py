"""The tab that puts runs side by side: curves, figures, what differs, sample grids; it measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from base.errors import BadInput
from evaluation import record
from evaluation.pages import sheet
from studio import library, pieces
from studio.messages import one_line

CHOOSE = pieces.hint("Choose two runs or more.")
REFRESH = 3.0


def build(opened: Sequence[Any]) -> None:
    """Lay the tab out; runs are looked up when it is `opened`."""
    names = gr.Dropdown([], value=[], multiselect=True, label="Runs", elem_id="compare-runs")
    shown = gr.HTML(CHOOSE, elem_id="compare-page")
    gr.on(opened, _choices, names, names, queue=False, show_progress="hidden")
    for look in (names.change, gr.Timer(REFRESH).tick):
        look(_look, [names, shown], shown, queue=False, show_progress="hidden")


def page(names: list[str]) -> str:
    """The runs side by side; one that is gone, or has logged nothing, is one line among the others."""
    runs, lines = [], []
    for name in names:
        try:
            library.run(name)
            runs.append(record.read(name))
        except (BadInput, FileNotFoundError) as error:
            lines.append(pieces.trouble(one_line(error)))
    if not runs:
        return "".join(lines) or CHOOSE
    grids = "".join(
        f'<figure><img src="{pieces.url(run.sample)}" alt=""><figcaption>{escape(run.name)}</figcaption></figure>'
        for run in runs
        if run.sample
    )
    differing = record.differences(runs)
    parts = {
        "Curves": pieces.charts(record.curves(runs)),
        "Last figures": sheet.html(record.figures(runs), "studio-table"),
        "What differs in the configurations": sheet.html(differing, "studio-table") or pieces.hint("Nothing."),
        "Latest samples": f'<div class="studio-grids">{grids}</div>' if grids else "",
    }
    return "".join(lines) + "".join(pieces.title(name) + part for name, part in parts.items() if part)


def _choices(names: list[str]) -> Any:
    return gr.Dropdown(list(dict.fromkeys([*library.runs(), *(names or [])])))


def _look(names: list[str], shown: str) -> Any:
    new = page(names or [])
    return gr.skip() if new == shown else new
