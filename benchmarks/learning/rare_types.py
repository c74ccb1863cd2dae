"""Types of which there are few examples: how often the student draws each as the judge sees it; it trains what is missing.

python -m benchmarks.learning.rare_types          # an hour on two cores; the same command goes on
python -m benchmarks.learning.rare_types --share 0.2

Teacher and student are trained on a set in which three types are thinned, the judge on other characters, of which other pairs
of attributes are held out: one that never saw the pairs that the student never saw cannot say whether it draws them.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from base.command import run
from base.errors import BadInput
from base.files import atomic_folder
from base.runs import runs_root, trained
from data.avatars import avatars
from data.imagefolder import ImageFolder
from evaluation.result import Bar, bars_result, publish
from metrics import judge_network
from metrics.attribute_accuracy import sightings
from metrics.sightings import Sightings
from models.pipeline import Pipeline
from training.assemble import opened
from training.attribute_judge import AttributeJudgeTraining
from training.launch import launch
from training.student.student_config import StudentConfig
from training.teacher_config import TeacherConfig

THINNED = {"Zombie": 100, "Ape": 50, "Alien": 20}
"""Type → training examples that stay."""
LEAST = 0.8
"""Share of the pictures of each type in which the judge must see it."""
CONFIGS = Path("configs/avatars")


def thin(whole: Path, out: Path, counts: Mapping[str, int]) -> None:
    """Copy a set of attributes to `out`, with no more than so many training pictures of the types named."""
    if out.is_dir():
        return
    with atomic_folder(out) as hidden:
        shutil.copytree(whole, hidden, dirs_exist_ok=True)
        table, left, rows = hidden / "train" / "metadata.jsonl", dict[str, float](counts), []
        for line in table.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            kind = row["attributes"][0]
            left[kind] = left.get(kind, math.inf) - 1
            if left[kind] >= 0:
                rows.append(line)
            else:
                (hidden / "train" / row["file_name"]).unlink()
        table.write_text("".join(line + "\n" for line in rows), encoding="utf-8")


def held_out(data: Path, each: int) -> list[int]:
    """Held-out characters of each type in turn, `each` of them, from the first again where there are fewer."""
    kinds = [row[0] for row in ImageFolder(data, "test").column("attributes")]
    own = {name: [index for index, kind in enumerate(kinds) if kind == name] for name in THINNED}
    if missing := [name for name, found in own.items() if not found]:
        raise BadInput(f"{data} holds out no {missing[0]}: draw more characters (--count)")
    return [own[name][place % len(own[name])] for name in THINNED for place in range(each)]


def seen(judge: judge_network.Judge, student: Pipeline, data: Path, each: int) -> tuple[Sightings, Sightings]:
    """What the judge sees of each type in `each` real pictures, and in as many of the student's that wear the same."""
    images, chosen = ImageFolder(data, "test"), held_out(data, each)
    rows = [images.column("attributes")[index] for index in chosen]
    drawn = [student.generate([", ".join(row)], [place % each]) for place, row in enumerate(rows)]
    kinds = [[row[0]] for row in rows]
    return sightings(judge, images.images(chosen), kinds), sightings(judge, np.concatenate(drawn), kinds)


def main(
    share: Annotated[float, typer.Option(help="Of the steps of the configurations that ship.", min=0.001)] = 1.0,
    count: Annotated[int, typer.Option(help="Characters of the set.")] = 10_000,
    each: Annotated[int, typer.Option(help="Pictures of each type that are judged.")] = 100,
    balance: Annotated[float, typer.Option(help="How far batches and pairs are balanced by name.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Stem of the results.")] = None,
) -> None:
    """Train judge, teacher and student where they are missing; a bar a type."""
    whole, thinned, others = (runs_root() / "data" / f"avatars-{count}{which}" for which in ("", "-thinned", "-others"))
    avatars(whole, count)
    avatars(others, count, seed=1)
    thin(whole, thinned, THINNED)
    under = f"evidence/rare-{count}-{share:g}-{balance:g}"
    common = [f"data={thinned}", f"loop.balance={balance}"]
    judge, teacher, student = (CONFIGS / f"{name}.yaml" for name in ("attribute-judge", "teacher", "student"))
    launch(
        "attribute-judge", judge, [f"run={under}/judge", f"data={others}", _steps(AttributeJudgeTraining, judge, share)]
    )
    launch("teacher", teacher, [f"run={under}/teacher", *common, _steps(TeacherConfig, teacher, share)])
    whole_run = StudentConfig.load(student)
    fewer = [
        f"warmup={round(whole_run.warmup * share)}",
        f"pairs.count={max(64, round(whole_run.pairs.count * share))}",
    ]
    start = [f"run={under}/student", f"teacher={under}/teacher"]
    launch("student", student, [*start, *common, *fewer, _steps(StudentConfig, student, share)])
    real, drawn = seen(judge_network.load(trained(f"{under}/judge")), opened(f"{under}/student"), whole, each)
    bars = [Bar(f"{name}, {THINNED[name]} examples", drawn.by_name[name], LEAST) for name in THINNED]
    bars += [Bar(f"{name}, real pictures", real.by_name[name]) for name in THINNED]
    facts = {"N": f"{each} pictures a type", "steps ÷ those that ship": share, "characters": count, "balance": balance}
    publish(bars_result("Rare types as the judge sees them", bars, facts), out)


def _steps(kind: type[AttributeJudgeTraining | TeacherConfig | StudentConfig], path: Path, share: float) -> str:
    return f"loop.steps={round((kind.load(path).loop.steps or 0) * share)}"


if __name__ == "__main__":
    run(main)
