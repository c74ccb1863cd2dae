"""What a finished or running training left behind: curves, configuration, sample grids; it trains nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.chart import Points
from models.errors import BadInput
from training.runs import run_folder


@dataclass(frozen=True)
class Run:
    """A run's folder, read."""

    name: str
    curves: dict[str, Points]
    """Metric → (step, value)."""
    config: dict[str, str]
    """Dotted key → value, as the resolved configuration has it."""
    sample: Path | None
    """The latest sample grid."""

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return int(max((points[-1][0] for points in self.curves.values()), default=0))


def is_run(name: str) -> bool:
    """Whether `name` is a run with metrics."""
    return (run_folder(name) / "metrics.jsonl").is_file()


def read(name: str) -> Run:
    """Open a run. BadInput: there is none, or it has not logged anything yet."""
    folder = run_folder(name)
    if not is_run(name):
        raise BadInput(f"{folder} is no run: it has no metrics.jsonl")
    samples = sorted((folder / "samples").glob("*.png"))
    config = folder / "config.yaml"
    values = yaml.safe_load(config.read_text()) if config.is_file() else {}
    curves = _curves(folder / "metrics.jsonl")
    if not curves:
        raise BadInput(f"{folder} has logged no metrics yet")
    return Run(name, curves, flat(values), samples[-1] if samples else None)


def flat(values: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys with values as words."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = str(value)
    return found


def _curves(file: Path) -> dict[str, Points]:
    """The last line may be half written: the run may be alive."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in file.read_text().splitlines():
        if not line.endswith("}"):
            continue
        figures = json.loads(line)
        step = figures.pop("step")
        for name, value in figures.items():
            found.setdefault(name, []).append((step, value))
    return dict(found)
