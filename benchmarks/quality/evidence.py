"""Experiments: variants of one training, several seeds each, all judged alike; every figure comes from `metrics`.

python -m benchmarks.quality.evidence configs/evidence/ablations.yaml

A run that is trained is not trained again, a variant that is measured not measured again: the same command goes on.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from base.config import Config
from base.runs import runs_root, trained
from benchmarks import command
from evaluation import machine, record
from evaluation.bench import Bench
from evaluation.chart import chart
from evaluation.effort import GUIDANCES, Effort
from evaluation.evaluation import write
from evaluation.figures import FIGURES
from evaluation.line import Line, numbers
from evaluation.sheet import markdown_table
from evaluation.subjects import Subjects, open_instruments, open_reals, open_teacher, student_draws, teacher_draw
from models.folder import load
from training.launch import launch


class Variant(Config):
    """One row of the table."""

    change: list[str] = []
    """Dotted overrides of the experiment's configuration."""
    like: str | None = None
    """Title of another variant whose overrides come first."""
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
    guidances: list[float] = [guidance for guidance in GUIDANCES if guidance <= 2]
    """The teacher's sweep, with every sampler at 50 steps."""
    images: int = 500
    """N of the distances."""
    seeds: list[int] = [0, 1, 2]
    teachers: list[str] = []
    """Runs of further teachers, each with a line at the best of its own sweep."""
    curves: list[str] = []
    """Metrics of the training that are drawn, one chart each with a curve a variant, first seed."""
    variants: dict[str, Variant]


COLUMNS = [head for figure in FIGURES for head in figure.numbers]
"""Single numbers of a line; FD by the judge on held-out reals."""


def run(experiment: Experiment, out: Path) -> None:
    """Trains and measures whatever is missing, and writes table and figures after each variant."""
    subjects = Subjects(experiment.teacher, experiment.teacher, experiment.judge, experiment.data)
    effort = Effort(images=experiment.images, guidances=tuple(experiment.guidances), sweep=experiment.images)
    bench = Bench(open_instruments(subjects), open_reals(experiment.data), effort)
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if "teacher" not in found:
        found["teacher"] = {"floor: training reals": [_figures(bench.floor())]}
    for name in [experiment.teacher, *experiment.teachers]:
        if not any(title.startswith(f"{name},") for title in found["teacher"]):
            line = _teacher(replace(subjects, teacher=name), bench)
            found["teacher"][line.name] = [_figures(line)]
    for seed in experiment.seeds:
        for title, variant in experiment.variants.items():
            if _key(title, variant.steps[-1], seed) not in found:
                found |= _student(experiment, title, variant, seed, bench)
                _write(experiment, out, found)


def _write(experiment: Experiment, out: Path, found: dict[str, Any]) -> None:
    facts = {"machine": machine.hardware(), "versions": machine.versions()}
    write(out.with_suffix(".json"), json.dumps(found | facts, indent=1))
    write(out.with_suffix(".md"), markdown(experiment, found, out.name))
    names = {title: _run(experiment, variant, experiment.seeds[0]) for title, variant in experiment.variants.items()}
    curves = {title: record.read(name).curves for title, name in names.items() if record.is_run(name)}
    for metric in experiment.curves:
        drawn = {title: known[metric] for title, known in curves.items() if metric in known}
        write(out.with_name(f"{out.name}-{metric.replace('/', '-')}.svg"), chart(metric, drawn))


def _teacher(subjects: Subjects, bench: Bench) -> Line:
    guided = teacher_draw(open_teacher(subjects), subjects.steps)
    _, best, started = bench.sweep(guided)
    name = f"{subjects.teacher}, {subjects.steps} steps, guidance {best.guidance:g}, {best.sampler}"
    return bench.line(name, guided(best.guidance, best.sampler), started)


def _run(experiment: Experiment, variant: Variant, seed: int) -> str:
    """Name of the run that trains it: one for equal changes, whatever experiment asks."""
    changes = hashlib.sha256(json.dumps(_changes(experiment, variant)).encode()).hexdigest()[:8]
    return f"evidence/{experiment.config.parent.name}-{changes}-{seed}"


def _changes(experiment: Experiment, variant: Variant) -> list[str]:
    before = _changes(experiment, experiment.variants[variant.like]) if variant.like else []
    return [*before, *variant.change]


def _student(experiment: Experiment, title: str, variant: Variant, seed: int, bench: Bench) -> dict[str, Any]:
    name = _run(experiment, variant, seed)
    fresh, began = not (runs_root() / name / "model").is_dir(), time.process_time()
    last = launch("student", experiment.config, [f"run={name}", f"loop.seed={seed}", *_changes(experiment, variant)])
    spent = time.process_time() - began if fresh else None
    parameters = sum(weight.numel() for weight in load(trained(name)).denoiser.parameters())
    shared = {"CPU s": spent, "parameters": parameters, "watch": {k: v for k, v in last.items() if "/" in k}}
    draws = student_draws(name, variant.steps)
    return {
        _key(title, steps, seed): _figures(bench.line(f"{title}, {steps}", draw)) | shared
        for steps, draw in zip(variant.steps, draws.values(), strict=True)
    }


def _figures(line: Line) -> dict[str, Any]:
    return numbers(line, FIGURES) | {"n": line.n}


def _key(title: str, steps: int, seed: int) -> str:
    return f"{title} | {steps} | {seed}"


def markdown(experiment: Experiment, found: Mapping[str, Any], stem: str) -> str:
    """The table: medians over seeds, and the range where there are several; then the curves."""
    names = ["÷ teacher", *COLUMNS, "CPU s", "parameters"]
    rows = [[title, "1", *_cells(rows, names)] for title, rows in found["teacher"].items()]
    (best,) = next(rows for title, rows in found["teacher"].items() if title.startswith(experiment.teacher))
    for title, variant in experiment.variants.items():
        for steps in variant.steps:
            done = [found[key] for seed in experiment.seeds if (key := _key(title, steps, seed)) in found]
            done = [row | {"÷ teacher": row["FD ×10³"] / best["FD ×10³"]} for row in done]
            if done:
                rows.append([f"{title}, {steps} step{'' if steps == 1 else 's'}", str(len(done)), *_cells(done, names)])
    n, facts = next(iter(found["teacher"].values()))[0]["n"], machine.hardware()
    how = (
        f"N = {n} a line, judge `{experiment.judge}`, held-out reals of `{experiment.data}`; medians and ranges over seeds; "
        f"`÷ teacher` is FD ÷ FD of {experiment.teacher} at the best of its sweep. "
        f"{facts['cores']} cores, {facts['cpu']}, torch {machine.versions()['torch']}."
    )
    lines = [f"# {experiment.title}", "", how, "", markdown_table(["", "seeds", *names], rows), ""]
    return "\n".join(
        [*lines, *(f"![{metric}]({stem}-{metric.replace('/', '-')}.svg)\n" for metric in experiment.curves)]
    )


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
    command.run(main)
