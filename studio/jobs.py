"""Trainings as processes of their own: start, stop, resume, and how far they are; it knows nothing of the page.

A training outlives the studio: it runs in a session of its own, and everything about it is read from its run's folder.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from base.config import Config
from base.errors import BadInput
from base.runs import new_run_folder, runs_root
from studio import form, library
from training.run import checkpoint, process

PROGRAM = Path(__file__).parent.parent / "ippo.py"
LOG = "train.log"
"""In the run's folder: what the command wrote, of the last start."""
State = Literal["starting", "running", "stopped", "finished", "failed"]
_RECENT = 10
"""Lines of metrics that the rate is taken over."""
_FAILURE = re.compile(r"ippo: |[\w.]+(Error|Exception)\b")
"""How the last line begins of a command that was refused, or broke."""
_TAIL = 1 << 16
"""Bytes that are read of the end of a log: it may be long, and the page asks every second."""

_started: dict[str, subprocess.Popen[bytes]] = {}
"""Run → the process that this studio started: known before it has claimed its folder, and reaped."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    name: str
    state: State
    step: int
    steps: int
    rate: float | None
    """Steps a second, lately."""
    line: str
    """The last line that the command wrote."""

    @property
    def left(self) -> float | None:
        """Seconds to the last step; None: the rate, or of a length in epochs the last step, is not known yet."""
        return (self.steps - self.step) / self.rate if self.rate and self.steps else None

    @property
    def busy(self) -> bool:
        """Whether a process is training the run, or about to."""
        return self.state in ("starting", "running")


def config_class(method: str) -> type[Config]:
    """The configuration class of a training method; the first call loads torch. BadInput: no such method."""
    from training.launch import METHODS

    if method not in METHODS:
        raise BadInput(f"no training method '{method}'; accepted: {', '.join(METHODS)}")
    config: type[Config] = importlib.import_module(f"training.{METHODS[method]}").CONFIG
    return config


def method_of(file: Path) -> str:
    """The method whose configuration `file` is; of several the one it is named after. BadInput: none, with the reason."""
    return _method_of(file, file.stat().st_mtime)


@cache
def _method_of(file: Path, written: float) -> str:
    from training.launch import METHODS

    stem = file.parent.name if file.stem == "config" else file.stem
    refused = ""
    for method in form.best_match(stem, METHODS):
        try:
            config_class(method).load(file)
            return method
        except BadInput as error:
            refused = refused or str(error)
    raise BadInput(refused)


def command(method: str, file: Path, overrides: Sequence[str]) -> str:
    """The command line that starts this training, as a person would type it."""
    return shlex.join(["ippo", "train", method, str(file), *overrides])


def start(method: str, file: Path, overrides: Sequence[str] = ()) -> str:
    """Start a training and return its run's name. BadInput: the configuration is refused, or the run is being trained."""
    name = str(config_class(method).load(file, overrides).run)  # type: ignore[attr-defined]
    run = new_run_folder(name)
    if not library.inside_runs(run):  # by a link
        raise BadInput(f"run: '{name}' leads out of {runs_root()}")
    if _starting(name) or process.alive(run):
        raise BadInput(f"{name} is being trained already; stop it first, or choose another name under run")
    run.mkdir(parents=True, exist_ok=True)
    with (run / LOG).open("wb") as log:
        _started[name] = subprocess.Popen(
            [sys.executable, str(PROGRAM), "train", method, str(file), *overrides],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "dumb"},
        )  # fmt: skip
    return name


def stop(name: str) -> None:
    """Ask a training to write a checkpoint and end."""
    run = library.run(name)
    if _starting(name) and not process.alive(run):
        _started[name].terminate()  # nothing is trained yet
    else:
        process.stop(run)


def resume(name: str) -> str:
    """Go on with a run from its newest checkpoint, by its own resolved configuration."""
    file = library.run(name) / "config.yaml"
    if not file.is_file():
        raise BadInput(f"{name} has no config.yaml: there is nothing to go on with")
    return start(method(name), file)


def method(name: str) -> str:
    """The method that trains a run: as its process says, else as its configuration looks."""
    run = library.run(name)
    before = process.last(run)
    return before.method if before else method_of(run / "config.yaml")


def progress(name: str) -> Progress:
    """How far a run is: state, step and rate. BadInput: the run is gone."""
    run = library.run(name)
    loop = library.values(name).get("loop", {})
    steps = int(loop.get("steps") or _planned(run)) if isinstance(loop, dict) else 0
    lines = _metrics(run / "metrics.jsonl")
    step = int(lines[-1]["step"]) if lines else 0
    said = _last_line(run / LOG)
    return Progress(name, _state(name, run, step, steps, said), step, steps, _rate(lines), said)


def _planned(run: Path) -> int:
    """Steps of a run whose length is configured in epochs, once it has a checkpoint."""
    newest = checkpoint.newest(run)
    try:
        return int(json.loads((newest / "state.json").read_text())["steps"]) if newest else 0
    except (OSError, ValueError, KeyError):
        return 0


def _state(name: str, run: Path, step: int, steps: int, said: str) -> State:
    if process.alive(run):
        return "running"
    if _starting(name):
        return "starting"
    if steps and step >= steps:
        return "finished"
    return "failed" if _FAILURE.match(said) else "stopped"


def _starting(name: str) -> bool:
    return name in _started and _started[name].poll() is None


def _metrics(file: Path) -> list[dict[str, float]]:
    """The last lines of the metrics; the first and the very last may be halves."""
    return [json.loads(line) for line in _last_lines(file) if line.startswith("{") and line.endswith("}")]


def _rate(lines: Sequence[dict[str, float]]) -> float | None:
    timed = [(line["step"], line["seconds"]) for line in lines if "seconds" in line][-_RECENT:]
    if not timed:
        return None
    (first, since), (last, until) = timed[0] if len(timed) > 1 else (0.0, 0.0), timed[-1]
    return (last - first) / (until - since) if until > since else None


def _last_line(file: Path) -> str:
    return next((line.strip() for line in reversed(_last_lines(file)) if line.strip()), "")


def _last_lines(file: Path) -> list[str]:
    """The lines of the last `_TAIL` bytes; none where the file is not there."""
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, file.stat().st_size - _TAIL))
            return lines.read().decode(errors="replace").splitlines()
    except OSError:
        return []
