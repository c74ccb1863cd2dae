"""Runs side by side on one HTML page: curves, last figures, samples, what differs in their configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import web
from benchmarks.evaluate import write
from training import record
from training.record import Run, curves, differences, figures

PAGE = "compare.html"


def compare(names: Sequence[str], out: Path) -> Path:
    """Write `compare.html` into `out` and return its path. BadInput: a name is no run."""
    found = [record.read(name) for name in dict.fromkeys(names)]
    out.mkdir(parents=True, exist_ok=True)
    write(out / PAGE, html(found))
    return out / PAGE


def html(found: Sequence[Run]) -> str:
    """The whole page."""
    parts = [
        web.section("What differs in the configurations", web.table(differences(found)) or web.paragraph("Nothing.")),
        web.section("Last figures", web.table(figures(found))),
        web.section("Curves", web.charts(curves(found))),
        web.section("Latest samples", *(web.picture_file(run.sample, run.name) for run in found if run.sample)),
    ]
    return web.page("Runs side by side", ", ".join(run.name for run in found), parts)
