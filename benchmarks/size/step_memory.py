"""Memory of one full ADD step at the size of Stable Diffusion 1.4, measured, beside what --dry-run says of it before.

python -m benchmarks.size.step_memory    # an adapter and a whole student, 512², bf16, a CPU: minutes, 25 GB
python -m benchmarks.size.step_memory --small    # tiny networks of the same classes

Weights are random, classes, sizes and code are the real ones. Every case has a process of its own; what is measured is the
resident memory of the steps (discriminator and generator) with everything that a run holds by then, less nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from benchmarks.size.export_costs import peak_gb

app = typer.Typer(add_completion=False, help=__doc__)
Small = Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")]
RATE = {"rate": 1e-5, "warmup": 0}
STUDENTS: Mapping[str, Mapping[str, Any]] = {"lora": {"lora": {"rank": 64}}, "full": {}}
AIMS = {"lora": 8.0, "full": 20.0}
"""GB of the peak."""
WITHIN = 0.15
"""Of the measured peak, that the dry run may be off."""


class Enough(Exception):
    """Ends a run where it would validate."""


@app.callback(invoke_without_command=True)
def main(context: typer.Context, small: Small = False) -> None:
    """Both students: one line of JSON each."""
    if context.invoked_subcommand:
        return
    with tempfile.TemporaryDirectory() as scratch:
        _elsewhere(scratch, "prepare", scratch, *(["--small"] if small else []))
        for name in STUDENTS:
            said = json.loads(_elsewhere(scratch, "estimate", scratch, name))
            found = json.loads(_elsewhere(scratch, "measure", scratch, name))
            ratio = round(said["estimated GB"] / (found["peak GB"] - found["libraries GB"]), 3)
            aims = {"peak GB": AIMS[name], "estimated ÷ measured": [1 - WITHIN, 1 + WITHIN]}
            print(json.dumps({name: {**found, **said, "estimated ÷ measured": ratio, "aims": aims}}), flush=True)


@app.command(hidden=True)
def prepare(scratch: Path, small: Small = False) -> None:
    """Write a base in fp16, a set of eight pictures, and a configuration for each student."""
    import numpy as np
    import torch
    from PIL import Image

    from benchmarks.size.random_networks import FULL, SMALL, student
    from data.build import build
    from models import folder as folders
    from models.stable_diffusion import TEACHER_SCHEDULER

    size = SMALL if small else FULL
    folders.save(replace(student(size, "KL"), scheduler=dict(TEACHER_SCHEDULER)), scratch / "base", torch.float16)
    (scratch / "pictures").mkdir()
    for seed in range(10):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(scratch / "pictures" / f"{seed}.png")
        (scratch / "pictures" / f"{seed}.txt").write_text("a picture")
    build(scratch / "pictures", scratch / "set", size=8 * size.latent)
    for name, values in STUDENTS.items():
        loop = {"steps": 2, "batch": 1, "precision": "bf16", "frozen": "bf16", "checkpointing": True}
        common = {
            "run": name,
            "teacher": str(scratch / "base"),
            "data": str(scratch / "set"),
            "warmup": 0,
            "loop": loop,
        }
        terms = {"adversarial": {"discriminator": RATE}, "distillation": {}, "pairs": {"count": 1, "steps": 1}}
        rates = {"optimizer": RATE, "warmup_optimizer": RATE}
        (scratch / f"{name}.yaml").write_text(yaml.safe_dump({**common, **terms, **rates, **values}))


@app.command(hidden=True)
def estimate(scratch: Path, name: str) -> None:
    """What --dry-run says."""
    from training import launch

    found = launch.rehearse("student", scratch / f"{name}.yaml")
    parts = {part: round(size / 1e9, 3) for part, size in found.memory.items()}
    print(json.dumps({"estimated GB": round(found.peak / 1e9, 3), "parts GB": parts}))


@app.command(hidden=True)
def measure(scratch: Path, name: str) -> None:
    """Two steps of the run itself, which ends where it would validate."""
    from training.run.loop import train
    from training.student.add import AddMethod
    from training.student.student_config import StudentConfig

    libraries = _resident_gb()
    found: dict[str, float] = {}

    class Measured(AddMethod):
        def validate(self, averages: Any) -> dict[str, float]:
            found["peak GB"] = peak_gb()
            raise Enough

    config = StudentConfig.load(scratch / f"{name}.yaml")
    method = Measured(config)
    opening = peak_gb()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    with suppress(Enough):
        train(method, config.loop, scratch / "run" / name)
    print(json.dumps({**found, "opening it GB": opening, "libraries GB": libraries}))


def _resident_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e9, 2)


def _elsewhere(scratch: str, *command: str) -> str:
    """The last line that another process of this program prints."""
    environment = {**os.environ, "IPPO_RUNS": str(Path(scratch) / "runs")}
    started = [sys.executable, "-m", "benchmarks.size.step_memory", *command]
    done = subprocess.run(started, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip().rpartition("\n")[2]


if __name__ == "__main__":
    app()
