"""What the studio may see, by name: configurations, and what lies in IPPO_RUNS; whatever else a name leads to is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from base.errors import BadInput
from base.runs import NO_RUNS, runs_root
from base.shipped import PRETRAINED, ROOT

CONFIGS = Path("configs")
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
_DEPTH = 4
"""Folders of a run's name."""


def configs() -> list[str]:
    """Names of the configurations of runs: paths below configs/, without those that name no run."""
    files = sorted(CONFIGS.rglob("*.yaml"))
    return [file.relative_to(CONFIGS).as_posix() for file in files if re.search(r"^run:", file.read_text(), re.M)]


def config(name: str) -> Path:
    """The file of a configuration. BadInput: there is none of that name."""
    file = CONFIGS / name
    if not _inside(file, CONFIGS) or not file.is_file():
        raise BadInput(f"no configuration '{name}' in {CONFIGS}/")
    return file


def sets() -> list[str]:
    """Names of the image sets below IPPO_RUNS."""
    return sorted(folder.name for folder in (runs_root() / "data").glob("*/") if not folder.name.startswith("."))


def image_set(name: str) -> Path:
    """The folder of an image set. BadInput: there is none of that name, or no longer."""
    folder = runs_root() / "data" / name
    if not name or not _inside(folder, runs_root() / "data") or not folder.is_dir():
        raise BadInput(f"the set '{name}' is gone: there is no {folder}")
    return folder


def runs() -> list[str]:
    """Names of the runs, the one that wrote last first."""
    touched = {folder: _touched(folder) for folder in _run_folders(runs_root(), 0)}
    return [
        folder.relative_to(runs_root()).as_posix() for folder in sorted(touched, key=lambda folder: -touched[folder])
    ]


def run(name: str) -> Path:
    """The folder of a run. BadInput: there is none of that name, or no longer."""
    folder = runs_root() / name
    if not name or not inside_runs(folder) or not folder.is_dir():
        raise BadInput(f"the run '{name}' is gone: there is no {folder}")
    return folder


def values(name: str) -> dict[str, object]:
    """The resolved configuration of a run; empty where it has none yet."""
    file = run(name) / "config.yaml"
    return (yaml.safe_load(file.read_text()) or {}) if file.is_file() else {}


def models() -> list[str]:
    """Pipelines that can draw: of runs, by their names, and those that ship, by their folders in the checkout."""
    trained = [name for name in runs() if (runs_root() / name / "model" / "model_index.json").is_file()]
    shipped = sorted(file.parent for file in PRETRAINED.glob("*/*/model_index.json"))
    return trained + [folder.relative_to(ROOT).as_posix() for folder in shipped]


def starts() -> list[str]:
    """What a training may start from: what any run made, networks as well as pipelines, then what ships."""
    made = [name for name in runs() if (runs_root() / name / "model").is_dir()]
    return list(dict.fromkeys([*made, *models()]))


def model(name: str) -> Path:
    """The diffusers folder of one of `models()`. BadInput: there is none of that name, or no longer."""
    if not name or name not in models():
        raise BadInput(f"the model '{name}' is gone: it is neither a run with a model nor one that ships")
    return ROOT / name if (ROOT / name).is_relative_to(PRETRAINED) else run(name) / "model"


def teacher_of(name: str) -> str | None:
    """The teacher of a student as one of `models()`, if it is known and there."""
    known = models()
    if (ROOT / name).is_relative_to(PRETRAINED):
        teacher = (Path(name).parent / "teacher").as_posix()
    else:
        teacher = str(values(name).get("teacher", ""))
    return teacher if teacher in known and teacher != name else None


def picture(name: str) -> Path:
    """A picture below IPPO_RUNS. BadInput: there is none, it lies elsewhere, or it is no picture."""
    file = runs_root() / name
    if file.suffix.lower() not in PICTURES or not inside_runs(file) or not file.is_file():
        raise BadInput(f"no picture '{name}'")
    return file


def inside_runs(path: Path) -> bool:
    """Whether `path`, links followed, lies below IPPO_RUNS."""
    return _inside(path, runs_root())


def _inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve()) and path.resolve() != root.resolve()


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inner = [Path(entry) for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:  # deleted meanwhile
        return
    for path in inner:
        if depth == 0 and path.name in NO_RUNS:
            continue
        if (path / "config.yaml").is_file() or (path / "metrics.jsonl").is_file():
            yield path
        elif depth + 1 < _DEPTH:
            yield from _run_folders(path, depth + 1)


def _touched(folder: Path) -> float:
    """When a run wrote last."""
    files = [folder / "metrics.jsonl", folder / "process.json", folder / "config.yaml"]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
