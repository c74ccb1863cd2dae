"""What a finished or running training left behind: curves, configuration, sample grids; it trains nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from base.dotted import dotted
from base.errors import BadInput
from base.runs import run_folder
from evaluation.pages.chart import Points
from evaluation.pages.sheet import Sheet

NAMES = ("run",)
"""Keys that differ by nature."""
NOT_CURVES = ("seconds",)


@dataclass(frozen=True)
class Run:
    """A run's folder, read."""

    name: str
    curves: dict[str, Points]
    """Metric → (step, value)."""
    config: dict[str, str]
    """Dotted key → value, as the resolved configuration has it."""
    samples: tuple[Path, ...]
    """Sample grids, the latest last."""

    @property
    def sample(self) -> Path | None:
        """The latest sample grid."""
        return self.samples[-1] if self.samples else None

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return int(max((points[-1][0] for points in self.curves.values()), default=0))


def is_run(name: str) -> bool:
    """Whether `name` is a run that has logged metrics."""
    return (run_folder(name) / "metrics.jsonl").is_file()


def read(name: str) -> Run:
    """Open a run. BadInput: there is none, or it has not logged anything yet."""
    folder = run_folder(name)
    if not is_run(name):
        raise BadInput(f"{folder} is no run: it has no metrics.jsonl")
    samples = tuple(sorted((folder / "samples").glob("*.png")))
    config = folder / "config.yaml"
    values = yaml.safe_load(config.read_text()) if config.is_file() else {}
    curves = _curves(folder / "metrics.jsonl")
    if not curves:
        raise BadInput(f"{folder} has logged no metrics yet")
    return Run(name, curves, {key: str(value) for key, value in dotted(values).items()}, samples)


def curves(runs: Sequence[Run]) -> dict[str, dict[str, Points]]:
    """Metric → run → its points, all runs over one pair of axes."""
    metrics = sorted({metric for run in runs for metric in run.curves if metric not in NOT_CURVES})
    return {metric: {run.name: run.curves.get(metric, ()) for run in runs} for metric in metrics}


def differences(runs: Sequence[Run]) -> Sheet:
    """The keys that do not have one value in all runs."""
    keys = [key for key in dict.fromkeys(key for run in runs for key in run.config) if key not in NAMES]
    differing = [key for key in keys if len({run.config.get(key) for run in runs}) > 1]
    rows = [[key, *(run.config.get(key, "") for run in runs)] for key in differing]
    return Sheet("", ["", *(run.name for run in runs)], rows)


def figures(runs: Sequence[Run]) -> Sheet:
    """Each metric's last value, and the least validation score, which chose the model."""
    metrics = sorted({metric for run in runs for metric in run.curves})
    rows = [["steps", *(str(run.steps) for run in runs)]]
    rows += [[f"{metric}, least", *(_least(run, metric) for run in runs)] for metric in metrics if _is_score(metric)]
    rows += [[metric, *(_last(run, metric) for run in runs)] for metric in metrics]
    return Sheet("", ["", *(run.name for run in runs)], rows)


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


def _curves(file: Path) -> dict[str, Points]:
    """The last line may be half written: the run may be alive."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line in file.read_text().splitlines():
        if not line.endswith("}"):
            continue
        figures = json.loads(line)
        step = figures.pop("step")
        for name, value in figures.items():
            points.setdefault(name, []).append((step, value))
    return dict(points)
