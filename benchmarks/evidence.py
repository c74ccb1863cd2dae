"""Experiments: variants of one training, several seeds each, all judged alike; every figure comes from `metrics`.

python -m benchmarks.evidence configs/evidence/ablations.yaml

A run that is trained is not trained again, a variant that is measured not measured again: the same command goes on.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import machine
from benchmarks.evaluate import write
from benchmarks.sources import Subjects, open_instruments, open_reals, open_teacher, student_draws, teacher_draw
from metrics.bench import Bench
from metrics.report import Effort, Line
from models.config import Config
from models.errors import BadInput
from models.folder import load
from training.launch import launch
from training.runs import runs_root, trained


class Variant(Config):
    """One row of the table."""

    change: list[str] = []
    """Dotted overrides of the experiment's configuration."""
    steps: list[int] = [1]
    """The student's numbers of steps that are judged."""


class Experiment(Config):
    """What is compared, and by what."""

    title: str
    """First line of the report: what is asked."""
    config: Path
    """Configuration of the student that every variant changes."""
    data: str
    judge: str
    """Run of the judge."""
    teacher: str
    """Run of the teacher whose best line stands above the students'."""
    guidances: list[float] = [1.0, 1.25, 1.5, 2.0]
    """The teacher's sweep, with both samplers at 50 steps."""
    images: int = 500
    """N of the distances."""
    seeds: list[int] = [0, 1, 2]
    variants: dict[str, Variant]


FIGURES: dict[str, Callable[[Line], float | None]] = {
    "FD ×10³": lambda line: 1e3 * line.fd,
    "recall": lambda line: line.recall,
    "accuracy": lambda line: line.recognised,
    "detail": lambda line: line.detail,
    "nearest": lambda line: line.nearest,
}
"""What the table shows of a line; FD by the judge on held-out reals."""


def run(experiment: Experiment, out: Path) -> None:
    """Trains and measures whatever is missing, and writes table and figures after each variant."""
    subjects = Subjects(experiment.teacher, experiment.teacher, experiment.judge, experiment.data)
    effort = Effort(images=experiment.images, guidances=tuple(experiment.guidances))
    bench = Bench(open_instruments(subjects), open_reals(experiment.data), effort)
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if "teacher" not in found:
        guided = teacher_draw(open_teacher(subjects), subjects.steps)
        _, best, started = bench.sweep(guided)
        name = f"teacher, 50 steps, guidance {best.guidance:g}, {best.sampler}"
        lines = {
            "floor: training reals": bench.floor(),
            name: bench.line(name, guided(best.guidance, best.sampler), started),
        }
        found["teacher"] = {title: [_figures(line)] for title, line in lines.items()}
    for title, variant in experiment.variants.items():
        for seed in experiment.seeds:
            if _key(title, variant.steps[-1], seed) not in found:
                found |= _student(experiment, out.name, title, variant, seed, bench)
                write(
                    file, json.dumps(found | {"machine": machine.hardware(), "versions": machine.versions()}, indent=1)
                )
                write(out.with_suffix(".md"), markdown(experiment, found))


def _student(
    experiment: Experiment, stem: str, title: str, variant: Variant, seed: int, bench: Bench
) -> dict[str, Any]:
    name = f"evidence/{stem}/{title.replace(' ', '-').replace('/', '-')}-{seed}"
    began = time.monotonic()
    fresh = not (runs_root() / name / "model").is_dir()
    last = launch("student", experiment.config, [f"run={name}", f"loop.seed={seed}", *variant.change])
    seconds = time.monotonic() - began if fresh else None
    parameters = sum(weight.numel() for weight in load(trained(name)).denoiser.parameters())
    shared = {"seconds": seconds, "parameters": parameters, "watch": {k: v for k, v in last.items() if "/" in k}}
    draws = student_draws(name, variant.steps)
    return {
        _key(title, steps, seed): _figures(bench.line(f"{title}, {steps}", draw)) | shared
        for steps, draw in zip(variant.steps, draws.values(), strict=True)
    }


def _figures(line: Line) -> dict[str, Any]:
    return {name: figure(line) for name, figure in FIGURES.items()} | {"n": line.n}


def _key(title: str, steps: int, seed: int) -> str:
    return f"{title} | {steps} | {seed}"


def markdown(experiment: Experiment, found: Mapping[str, Any]) -> str:
    """The table: medians over seeds, and the range where there are several."""
    names = [*FIGURES, "seconds", "parameters"]
    rows = [[title, "1", *_cells(rows, names)] for title, rows in found["teacher"].items()]
    for title, variant in experiment.variants.items():
        for steps in variant.steps:
            done = [found[key] for seed in experiment.seeds if (key := _key(title, steps, seed)) in found]
            if done:
                rows.append([f"{title}, {steps} step{'s'[: steps > 1]}", str(len(done)), *_cells(done, names)])
    n, facts = next(iter(found["teacher"].values()))[0]["n"], machine.hardware()
    how = (
        f"N = {n} a line, judge `{experiment.judge}`, held-out reals of `{experiment.data}`; medians and ranges over seeds. "
        f"{facts['cores']} cores, {facts['cpu']}, torch {machine.versions()['torch']}."
    )
    table = [["", "seeds", *names], ["---", *["---:"] * (len(names) + 1)], *rows]
    return "\n".join([f"# {experiment.title}", "", how, "", *("| " + " | ".join(row) + " |" for row in table), ""])


def _cells(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    return [_cell([row[name] for row in rows if row.get(name) is not None]) for name in names]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    middle = f"{statistics.median(values):.4g}"
    return (
        middle
        if len(values) == 1 or min(values) == max(values)
        else f"{middle} ({min(values):.4g} to {max(values):.4g})"
    )


def main(
    experiment: Annotated[Path, typer.Argument(help="YAML in configs/evidence/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. seeds=[0].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.")] = None,
) -> None:
    """Train and judge every variant with every seed."""
    opened = Experiment.load(experiment, overrides or [])
    run(opened, (out or machine.results_folder()) / experiment.stem)


if __name__ == "__main__":
    try:
        typer.run(main)
    except BadInput as error:
        print(f"evidence: {error}", file=sys.stderr)
        sys.exit(2)
