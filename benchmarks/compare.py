"""Runs side by side on one HTML page: curves, last figures, samples, what differs in their configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import runs, web
from benchmarks.evaluate import write
from benchmarks.report_page import curves
from benchmarks.runs import Run
from metrics.tables import Sheet

PAGE = "compare.html"
NAMES = ("run",)
"""Keys that differ by nature."""


def compare(names: Sequence[str], out: Path) -> Path:
    """Write `compare.html` into `out` and return its path. BadInput: a name is no run."""
    found = [runs.read(name) for name in dict.fromkeys(names)]
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


def differences(found: Sequence[Run]) -> Sheet:
    """The keys that do not have one value in all runs."""
    keys = [key for key in dict.fromkeys(key for run in found for key in run.config) if key not in NAMES]
    differing = [key for key in keys if len({run.config.get(key) for run in found}) > 1]
    rows = [[key, *(run.config.get(key, "") for run in found)] for key in differing]
    return Sheet("", ["", *(run.name for run in found)], rows)


def figures(found: Sequence[Run]) -> Sheet:
    """Each metric's last value, and the least validation score, which chose the model."""
    metrics = sorted({metric for run in found for metric in run.curves})
    rows = [["steps", *(str(run.steps) for run in found)]]
    rows += [[f"{metric}, least", *(_least(run, metric) for run in found)] for metric in metrics if _is_score(metric)]
    rows += [[metric, *(_last(run, metric) for run in found)] for metric in metrics]
    return Sheet("", ["", *(run.name for run in found)], rows)


def _is_score(metric: str) -> bool:
    """What chooses the best model: lower is better."""
    return metric == "validation/score"


def _last(run: Run, metric: str) -> str:
    return f"{run.curves[metric][-1][1]:.4g}" if metric in run.curves else ""


def _least(run: Run, metric: str) -> str:
    if metric not in run.curves:
        return ""
    step, value = min(run.curves[metric], key=lambda point: point[1])
    return f"{value:.4g} at step {step:g}"
