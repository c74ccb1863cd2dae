"""Runs side by side on one HTML page: curves, last figures, samples, what differs in their configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from base.files import write_text
from evaluation import record
from evaluation.pages import web_page
from evaluation.record import Run, curves, differences, figures

PAGE = "compare.html"


def compare(names: Sequence[str], out: Path) -> Path:
    """Write `compare.html` into `out` and return its path. BadInput: a name is no run."""
    runs = [record.read(name) for name in dict.fromkeys(names)]
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PAGE, html(runs))
    return out / PAGE


def html(runs: Sequence[Run]) -> str:
    """The page of these runs."""
    parts = [
        web_page.section(
            "What differs in the configurations", web_page.table(differences(runs)) or web_page.paragraph("Nothing.")
        ),
        web_page.section("Last figures", web_page.table(figures(runs))),
        web_page.section("Curves", web_page.charts(curves(runs))),
        web_page.section(
            "Latest samples", *(web_page.picture_file(run.sample, run.name) for run in runs if run.sample)
        ),
    ]
    return web_page.page("Runs side by side", ", ".join(run.name for run in runs), parts)
