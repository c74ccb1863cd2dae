"""Memory and time of one step of a student at the real size, measured, beside what --dry-run says of it before.

python -m benchmarks.size.step_memory    # Stable Diffusion 1.4, adapter and whole: 512², bf16, a CPU: minutes, 25 GB
python -m benchmarks.size.step_memory sana [--out STEM]    # SANA 0.6 B, an adapter: minutes, 10 GB of memory, 8 GB of disk
python -m benchmarks.size.step_memory [sana] --small    # tiny networks of the same classes

Weights are random; classes, sizes and code are the real ones. Every case has a process of its own; what is measured is the
resident memory of the steps (discriminator and generator) with everything that a run holds by then.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.child import JsonObject, last_object
from benchmarks.peer_side import peak_gb

app = typer.Typer(add_completion=False, help=__doc__)
RATE = {"rate": 1e-5, "warmup": 0}
ADD: Mapping[str, Any] = {"adversarial": {"discriminator": RATE}, "distillation": {}}
STUDENTS: Mapping[str, Mapping[str, Any]] = {"lora": {**ADD, "lora": {"rank": 64}}, "full": ADD}
SPRINT: Mapping[str, Mapping[str, Any]] = {
    "sprint": {"adversarial": {"discriminator": RATE}, "consistency": {}, "cache_text": True, "lora": {"rank": 64}}
}
"""SANA's students: by consistency and LADD together, as SANA-Sprint."""
PEAK_GB = {"lora": 8.0, "full": 20.0, "sprint": 10.0}
"""The bar of each student's peak."""
STEPS = 2
WITHIN = 0.15
"""Share of the measured peak that the dry run may be off."""


class Stop(Exception):
    """Ends a run where it would validate."""


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    small: Annotated[bool, typer.Option("--small", help="Tiny networks.")] = False,
    out: Annotated[Path | None, typer.Option(help="Stem of the results.")] = None,
) -> None:
    """Measure both students; the last line is JSON."""
    if context.invoked_subcommand is None:
        _publish("Memory of one ADD step", "benchmarks.size.random_networks", STUDENTS, small, out)


@app.command()
def sana(
    small: Annotated[bool, typer.Option("--small", help="Tiny networks.")] = False,
    out: Annotated[Path | None, typer.Option(help="Stem of the results.")] = None,
) -> None:
    """Measure a student of SANA 0.6 B; the last line is JSON."""
    _publish("Memory of one step of SANA's student", "benchmarks.size.random_sana", SPRINT, small, out)


def _publish(title: str, writer: str, students: Mapping[str, Mapping[str, Any]], small: bool, out: Path | None) -> None:
    from evaluation.result import Bar, bars_result, publish

    bars, figures = list[Bar](), {}
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch), small, writer, students)
        for name in students:
            estimated, measured = (child(command, scratch, name) for command in ("estimate", "measure"))
            ratio = estimated["estimated GB"] / (measured["peak GB"] - measured["libraries GB"])
            bars += [Bar(f"{name}: peak GB", measured["peak GB"], most=PEAK_GB[name])]
            bars += [Bar(f"{name}: estimated ÷ measured", ratio, 1 - WITHIN, 1 + WITHIN)]
            bars += [
                Bar(f"{name}: {figure}", measured[figure]) for figure in ("opening it GB", "libraries GB", "s a step")
            ]
            figures[name] = {**estimated, **measured}
    facts = {"N": f"one run, {STEPS} steps", "weights": "random, tiny" if small else "random, of the real size"}
    publish(bars_result(title, bars, facts, figures), out)


def child(command: str, scratch: str, name: str) -> JsonObject:
    """`estimate` or `measure` of a student that was prepared, in a process of its own."""
    return last_object("benchmarks.size.step_memory", command, scratch, name, environment={"IPPO_RUNS": scratch})


def prepare(
    scratch: Path,
    small: bool,
    writer: str = "benchmarks.size.random_networks",
    students: Mapping[str, Mapping[str, Any]] = STUDENTS,
) -> None:
    """Write a base by the module `writer`, a set of ten pictures, and a configuration for each student."""
    import numpy as np
    import yaml
    from PIL import Image

    from data.build import build

    options = ["--teacher"] if writer.endswith("networks") else []
    side = last_object(writer, f"{scratch}/base", *options, *(["--small"] if small else []))["side"]
    (scratch / "pictures").mkdir()
    for seed in range(10):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(scratch / "pictures" / f"{seed}.png")
        (scratch / "pictures" / f"{seed}.txt").write_text("a picture")
    build(scratch / "pictures", scratch / "set", size=side)
    config = {
        "teacher": f"{scratch}/base", "data": f"{scratch}/set", "warmup": 0, "optimizer": RATE, "warmup_optimizer": RATE,
        "loop": {"steps": STEPS, "log_every": 1, "batch": 1, "precision": "bf16", "frozen": "bf16", "checkpointing": True},
        "pairs": {"count": 1, "steps": 1},
    }  # fmt: skip
    for name, values in students.items():
        (scratch / f"{name}.yaml").write_text(yaml.safe_dump({"run": name, **config, **values}))


@app.command(hidden=True)
def estimate(scratch: Path, name: str) -> None:
    """Print what --dry-run says."""
    from training import launch

    estimated = launch.rehearse("student", scratch / f"{name}.yaml")
    parts = {part: size / 1e9 for part, size in estimated.memory.items()}
    print(json.dumps({"estimated GB": estimated.peak / 1e9, "parts GB": parts}))


@app.command(hidden=True)
def measure(scratch: Path, name: str) -> None:
    """Some steps of the run itself, which ends where it would validate."""
    import torch

    from training.run.loop import train
    from training.run.method import Phase
    from training.student.add import AddMethod
    from training.student.student_config import StudentConfig

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    figures, gpu = {"libraries GB": pages * os.sysconf("SC_PAGE_SIZE") / 1e9}, torch.cuda.is_available()

    class SomeSteps(AddMethod):
        """The student's method; its peak begins anew when everything is open, and is read before the validation."""

        def phases(self, steps: int) -> Sequence[Phase]:
            figures["opening it GB"] = peak_gb()
            Path("/proc/self/clear_refs").write_text("5")
            if gpu:
                torch.cuda.reset_peak_memory_stats()
            return super().phases(steps)

        def validate(self, averages: Any) -> dict[str, float]:
            figures["peak GB"] = torch.cuda.max_memory_allocated() / 1e9 if gpu else peak_gb()
            raise Stop

    config, folder = StudentConfig.load(scratch / f"{name}.yaml"), scratch / "run" / name
    with suppress(Stop):
        train(SomeSteps(config), config.loop, folder)
    seconds = [json.loads(line)["seconds"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    print(json.dumps({**figures, "s a step": seconds[-1] - seconds[-2]}))


if __name__ == "__main__":
    app()
