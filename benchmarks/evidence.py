"""Experiments: variants of one training, several seeds each, all judged alike; it knows nothing of what they change.

python -m benchmarks.evidence configs/evidence/ablations.yaml

A run that is trained is not trained again, a variant that is measured not measured again: the same command goes on.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from base.command import run as run_main
from base.config import Config
from base.runs import runs_root, trained
from evaluation import machine, record
from evaluation.bench import Bench
from evaluation.effort import GUIDANCES, Effort
from evaluation.figures import FIGURES
from evaluation.image_sets import open_reals
from evaluation.line import Line, numbers
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, save
from evaluation.subjects import Subjects, open_instruments, open_teacher, student_draws, teacher_draw
from models.folder import load
from models.sampling import SAMPLERS
from training.launch import launch
from training.student.student_config import StudentConfig


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
    common: list[str] = []
    """Dotted overrides that all variants begin with."""
    data: str
    judge: str
    """Run of the judge."""
    teacher: str
    """Run of the teacher whose best line stands above the students'."""
    guidances: list[float] = [guidance for guidance in GUIDANCES if guidance <= 2]
    """The teacher's sweep, with each of `samplers`."""
    samplers: list[str] = list(SAMPLERS)
    teacher_steps: int = 50
    features: list[str] = []
    """A further network as `KIND:FOLDER`, `KIND:RUN` or `KIND:HUB-NAME`: the outside judge of a distance."""
    images: int = 500
    """N of the distances."""
    captions: int = Effort.captions
    """Of each set that is identified; as many pictures are drawn of captions that leave something open."""
    seeds: list[int] = [0, 1, 2]
    shorter: int = 1
    """Steps of every variant ÷ this: a trial of the whole table."""
    teachers: list[str] = []
    """Runs of further teachers, each with a line at the best of its own sweep."""
    curves: list[str] = []
    """Metrics of the training that are drawn, one chart each with a curve a variant, first seed."""
    variants: dict[str, Variant]


COLUMNS = [head for figure in FIGURES for head in figure.numbers]
"""Single numbers of a line; FD by the judge on held-out reals."""


def run(experiment: Experiment, stem: Path) -> None:
    """Train and measure whatever is missing, and write table and charts after each variant."""
    subjects = Subjects(
        experiment.teacher, experiment.teacher, experiment.judge, experiment.data,
        features=tuple(experiment.features), steps=experiment.teacher_steps,
    )  # fmt: skip
    guidances, samplers = tuple(experiment.guidances), tuple(experiment.samplers)
    effort = Effort(experiment.images, experiment.captions, guidances, samplers, sweep=experiment.images)
    bench = Bench(open_instruments(subjects), open_reals(experiment.data), effort)
    file = stem.with_name(f"{stem.name}.json")
    figures: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if "teacher" not in figures:
        figures["teacher"] = {"floor: training reals": [_figures(bench.floor())]}
    for name in [experiment.teacher, *experiment.teachers]:
        if not any(title.startswith(f"{name},") for title in figures["teacher"]):
            line = _teacher(replace(subjects, teacher=name), bench)
            figures["teacher"][line.name] = [_figures(line)]
    for seed in experiment.seeds:
        for title, variant in experiment.variants.items():
            if _key(title, variant.steps[-1], seed) not in figures:
                figures |= _student(experiment, title, variant, seed, bench)
                save(result(experiment, figures), stem)


def result(experiment: Experiment, figures: Mapping[str, Any]) -> Result:
    """The table: medians over seeds, and the range where there are several; then the curves of the first seed's runs."""
    lines = [*chain(*figures["teacher"].values()), *(row for key, row in figures.items() if " | " in key)]
    measured = [name for name in COLUMNS if any(line.get(name) is not None for line in lines)]
    names = ["÷ teacher", *measured, "CPU s", "parameters"]
    rows = [[title, "1", *_cells(lines, names)] for title, lines in figures["teacher"].items()]
    (best,) = next(lines for title, lines in figures["teacher"].items() if title.startswith(experiment.teacher))
    for title, variant in experiment.variants.items():
        for steps in variant.steps:
            done = [figures[key] for seed in experiment.seeds if (key := _key(title, steps, seed)) in figures]
            done = [row | {"÷ teacher": row["FD ×10³"] / best["FD ×10³"]} for row in done]
            if done:
                name = f"{title}, {steps} {'step' if steps == 1 else 'steps'}"
                rows.append([name, str(len(done)), *_cells(done, names)])
    facts = {
        **({"FD, outside": f"by {', '.join(experiment.features)}"} if experiment.features else {}),
        "N": f"{next(iter(figures['teacher'].values()))[0]['n']} a line, medians and ranges over seeds",
        "judge": f"{experiment.judge}, on held-out reals of {experiment.data}",
        "÷ teacher": f"FD ÷ FD of {experiment.teacher} at the best of its sweep",
    }
    runs = {title: _run(experiment, variant, experiment.seeds[0]) for title, variant in experiment.variants.items()}
    curves = {title: record.read(name).curves for title, name in runs.items() if record.is_run(name)}
    charts = {name: {title: one[name] for title, one in curves.items() if name in one} for name in experiment.curves}
    return Result(experiment.title, [Sheet("", ["", "seeds", *names], rows)], figures, facts, charts)


def _teacher(subjects: Subjects, bench: Bench) -> Line:
    guided = teacher_draw(open_teacher(subjects), subjects.steps)
    _, best, started = bench.sweep(guided)
    name = f"{subjects.teacher}, {subjects.steps} steps, guidance {best.guidance:g}, {best.sampler}"
    return bench.line(name, guided(best.guidance, best.sampler), started)


def _run(experiment: Experiment, variant: Variant, seed: int) -> str:
    """Name of the run that trains it: one for equal changes, whatever experiment asks."""
    changes = hashlib.sha256(json.dumps(_overrides(experiment, variant)).encode()).hexdigest()[:8]
    return f"evidence/{experiment.config.parent.name}-{changes}-{seed}"


def _overrides(experiment: Experiment, variant: Variant) -> list[str]:
    changes = _changes(experiment, variant)
    if experiment.shorter == 1:
        return changes
    whole = StudentConfig.load(experiment.config, changes)
    steps = max(1, (whole.loop.steps or 0) // experiment.shorter)
    return [*changes, f"loop.steps={steps}", f"warmup={min(steps, whole.warmup // experiment.shorter)}"]


def _changes(experiment: Experiment, variant: Variant) -> list[str]:
    before = _changes(experiment, experiment.variants[variant.like]) if variant.like else experiment.common
    return [*before, *variant.change]


def _student(experiment: Experiment, title: str, variant: Variant, seed: int, bench: Bench) -> dict[str, Any]:
    name = _run(experiment, variant, seed)
    fresh, began = not (runs_root() / name / "model").is_dir(), time.process_time()
    last = launch("student", experiment.config, [f"run={name}", f"loop.seed={seed}", *_overrides(experiment, variant)])
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


def _cells(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    return [_cell([row[name] for row in rows if row.get(name) is not None]) for name in names]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ({min(values):.4g} to {max(values):.4g})" if min(values) != max(values) else ""
    return f"{statistics.median(values):.4g}{spread}"


def main(
    experiment: Annotated[Path, typer.Argument(help="YAML in configs/evidence/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. seeds=[0].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.")] = None,
) -> None:
    """Train and judge every variant with every seed."""
    run(Experiment.load(experiment, overrides or []), (out or machine.results_folder()) / experiment.stem)


if __name__ == "__main__":
    run_main(main)
