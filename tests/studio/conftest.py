"""A folder that looks like somebody's: a set, a configuration, runs; the training tests' fixtures are shared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import tiny
from tests.training.conftest import runs, write_set

__all__ = ["runs"]

UNET = tiny.UNET | {"sample_size": 8}
TEACHER = {
    "run": "tiny/teacher",
    "data": "squares",
    "captions": ["label"],
    "base": {"family": "ddpm", "classes": 4, "width": 8, "channels": 3, "scale": 2, "unet": UNET},
    "train_conditioner": True,
    "guidance": 1.0,
    "optimizer": {"rate": 1e-3, "warmup": 2},
    "loop": {"steps": 40, "batch": 4, "log_every": 1, "validate_every": 20},
}


@pytest.fixture
def home(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `configs/tiny/teacher.yaml`, and the set `squares` below IPPO_RUNS."""
    (tmp_path / "configs" / "tiny").mkdir(parents=True)
    (tmp_path / "configs" / "tiny" / "teacher.yaml").write_text(yaml.safe_dump(TEACHER, sort_keys=False))
    write_set(runs / "data" / "squares")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_run(runs: Path) -> Callable[[str, int], Path]:
    """Writes what a training of 100 steps leaves behind after so many of them."""

    def write(name: str, steps: int) -> Path:
        folder = runs / name
        (folder / "samples").mkdir(parents=True)
        (folder / "config.yaml").write_text(
            yaml.safe_dump({"run": name, "teacher": "a/teacher", "loop": {"steps": 100}})
        )
        lines = [{"step": step, "teacher/total": 1 / step, "seconds": step / 4} for step in range(10, steps + 1, 10)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9')
        Image.fromarray(np.full((4, 8, 3), steps, np.uint8)).save(folder / "samples" / f"{steps:06d}.png")
        return folder

    return write
