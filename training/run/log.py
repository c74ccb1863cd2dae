"""A run's metrics: `metrics.jsonl`, TensorBoard events and sample pictures; it knows nothing about what is measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from base.files import atomic_file, write_text


def tell(console: Console, run: Path, lines: Iterable[str]) -> None:
    """Lines about a run for a person, whole, each with its name before it."""
    for line in lines:
        console.print(f"{run.name}: {line}", markup=False, highlight=False, soft_wrap=True)


class NoLog:
    """In place of a log in the processes that write nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, pixels: NDArray[np.uint8]) -> None:
        """Nothing of `(H, W, 3)`."""


class Log(NoLog):
    """Append figures of a run; lines of steps after `step` (left by a run that was killed) are dropped first."""

    def __init__(self, run: Path, step: int) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.run = run
        self.file = run / "metrics.jsonl"
        _keep_up_to(self.file, step)
        self.events = SummaryWriter(str(run / "events"), purge_step=step)

    def __exit__(self, *error: object) -> None:
        self.events.close()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One JSON line and one scalar a figure."""
        with self.file.open("a") as lines:
            lines.write(json.dumps({"step": step, **figures}) + "\n")
        for name, value in figures.items():
            self.events.add_scalar(name, value, step)

    def picture(self, step: int, pixels: NDArray[np.uint8]) -> None:
        """A sample grid `(H, W, 3)` as `samples/<step>.png`."""
        folder = self.run / "samples"
        folder.mkdir(exist_ok=True)
        with atomic_file(folder / f"{step:06d}.png") as hidden:  # the studio looks on
            Image.fromarray(pixels).save(hidden, "PNG")


def _keep_up_to(file: Path, step: int) -> None:
    if not file.is_file():
        return
    complete = [line for line in file.read_text().splitlines() if line.endswith("}")]
    current = [line for line in complete if json.loads(line)["step"] <= step]
    write_text(file, "".join(line + "\n" for line in current))
