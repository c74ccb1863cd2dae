"""What the trainings of a line of configurations cost: core-seconds a step of each phase, and core-hours in all.

python -m benchmarks.learning.stage_costs configs/icons --data icons

Every stage is opened as it stands, on a few pictures of the set, takes a few steps of each of its phases, and leaves its
network, which has learnt nothing, to the stages after it. Steps do not cost more on more pictures. It judges no picture.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml
from accelerate import Accelerator
from torch.nn.attention import SDPBackend, sdpa_kernel

from base.command import run
from base.runs import data_folder, run_folder, runs_root
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, publish
from training.configured_line import ConfiguredStage, stages
from training.launch import METHODS
from training.run.batches import Batches
from training.run.device import mixed_precision, on_cpu
from training.run.method import Method
from training.run.optimizer import build
from training.run.state import State
from training.run.step import Step

METADATA, ROWS = "metadata.jsonl", 64
"""A split's table, and how many of its rows are taken."""
PREPARED: Mapping[str, tuple[str | None, int]] = {"pairs": ("count", 64), "student_images": (None, 64)}
"""What a stage makes before its first step, as its configuration counts it, and how many of them are made here."""


@dataclass(frozen=True)
class StageCost:
    """Core-seconds of one stage."""

    run: str
    before: float
    """Before its first step: latents, a teacher's pairs, a student's pictures."""
    phases: Mapping[str, tuple[float, int]]
    """Phase → core-seconds a step, and how many steps it is active."""

    @property
    def hours(self) -> float:
        """Core-hours of the whole stage without its validations."""
        return (self.before + sum(each * steps for each, steps in self.phases.values())) / 3600


def few(source: Path, out: Path, rows: int = ROWS) -> None:
    """The rows of the first labels of each split of an imagefolder, so that they have several pictures; linked."""
    for split in ("train", "validation", "test"):
        table = (source / split / METADATA).read_text(encoding="utf-8").splitlines()
        lines = sorted(table, key=lambda line: json.loads(line).get("label", 0))[:rows]
        (out / split).mkdir(parents=True)
        (out / split / METADATA).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name in (json.loads(line)["file_name"] for line in lines):
            (out / split / name).symlink_to((source / split / name).resolve())
    for file in source.glob("*.json"):
        (out / file.name).symlink_to(file.resolve())


def measure(stage: ConfiguredStage, whole: int, steps: int) -> StageCost:
    """The stage's costs with a set of `whole` training pictures; its network is left as its run's model."""
    values = yaml.safe_load(stage.file.read_text(encoding="utf-8"))
    module = importlib.import_module(f"training.{METHODS[stage.method]}")
    config = module.CONFIG.load(stage.file, _smaller(values))
    method: Method = module.METHOD(config)
    began = time.process_time()
    method.prepare()
    before = (time.process_time() - began) * _times(values, whole)

    accelerator = Accelerator(mixed_precision=mixed_precision(config.loop.precision), cpu=on_cpu())
    for network in method.modules.values():
        network.to(accelerator.device).train()
    last = config.loop.length(whole)
    phases = [(phase, build(phase.optimizer, phase.parameters)) for phase in method.phases(last)]
    state = State(phases, {}, method.modules, last, torch.amp.GradScaler(enabled=False))
    batches = Batches(config.loop.seed, config.loop.batch, method.size, method.shares, method.groups)
    costs = {}
    for number, (phase, _) in enumerate(phases):
        stop = last if phase.stop is None else min(phase.stop, last)
        if (active := stop - phase.start) > 0:
            state.step = phase.start
            step = Step(config.loop, state, accelerator, batches.at(0))
            with sdpa_kernel(
                [SDPBackend.MATH] if config.loop.attention == "math" else [*SDPBackend.__members__.values()]
            ):
                step.run(number)
                began = time.process_time()
                for _ in range(steps):
                    step.run(number)
            costs[phase.name] = ((time.process_time() - began) / steps, active)
    networks = {name: copy.deepcopy(method.modules[name]).eval() for name in method.averaged}
    with torch.no_grad():
        method.save(runs_root() / stage.run / "model", networks)
    return StageCost(stage.run, before, costs)


def result(costs: list[StageCost], title: str, facts: Mapping[str, object]) -> Result:
    """A row a phase, and the sum."""
    rows = []
    for cost in costs:
        rows += [
            [cost.run, name, f"{each:.2f}", f"{steps:,}", f"{each * steps / 3600:.2f}"]
            for name, (each, steps) in cost.phases.items()
        ]
        rows += [[cost.run, "before its first step", "", "", f"{cost.before / 3600:.2f}"]] if cost.before >= 36 else []
    rows.append(["all", "", "", "", f"{sum(cost.hours for cost in costs):.1f}"])
    figures = {cost.run: {"hours": cost.hours, "before": cost.before, "phases": cost.phases} for cost in costs}
    return Result(
        title, [Sheet("", ["run", "phase", "core-seconds a step", "steps", "core-hours"], rows)], figures, facts
    )


def _smaller(values: Mapping[str, Any]) -> list[str]:
    """Overrides that let a stage make few things before its first step."""
    return [
        f"{key}.{inner}={count}" if inner else f"{key}={count}"
        for key, (inner, count) in PREPARED.items()
        if key in values or (key == "student_images" and "student" in values)
    ]


def _times(values: Mapping[str, Any], whole: int) -> float:
    """How much more the stage makes before its first step."""
    if "pairs" in values:
        return float(values["pairs"]["count"]) / PREPARED["pairs"][1]
    if values.get("student"):
        return float(values.get("student_images", 4096)) / PREPARED["student_images"][1]
    return whole / ROWS


def main(
    configs: Annotated[Path, typer.Argument(help="Folder of a line's configurations.")],
    data: Annotated[str, typer.Option(help="Its image set.")],
    steps: Annotated[int, typer.Option(help="Steps of each phase, after one that is not counted.")] = 3,
    features: Annotated[list[str] | None, typer.Option(help="Runs that stages need and none of them makes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Stem of the result's files.")] = None,
) -> None:
    """Measure every stage; the last line is JSON."""
    source, needed = Path(data_folder(data)), {name: run_folder(name).resolve() for name in features or []}
    whole = len((source / "train" / METADATA).read_text(encoding="utf-8").splitlines())
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["IPPO_RUNS"] = scratch
        few(source.resolve(), Path(scratch) / "data" / data)
        for name, folder in needed.items():
            (Path(scratch) / name).symlink_to(folder)
        costs = []
        for stage in stages(configs):
            costs.append(measure(stage, whole, steps))
            print(f"{stage.run}: {costs[-1].hours:.2f} core-hours", flush=True)
    facts = {"steps": f"{steps} of each phase", "precision": "auto", "without": "validations and checkpoints"}
    publish(result(costs, f"What the trainings of {configs} cost", facts), out)


if __name__ == "__main__":
    run(main)
