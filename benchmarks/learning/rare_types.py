"""Types of which there are few examples: how often the student draws each as the judge sees it; it trains what is missing.

python -m benchmarks.learning.rare_types          # an hour on two cores; the same command goes on
python -m benchmarks.learning.rare_types --share 0.2

The judge is trained on all characters, teacher and student on a set in which three types are thinned.
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
from base.files import atomic_folder
from base.runs import data_folder, runs_root, trained
from data.avatars import avatars
from data.imagefolder import ImageFolder
from evaluation.result import Bar, bars_result, publish
from metrics import judge_network
from metrics.attribute_accuracy import sightings
from metrics.sightings import Sightings
from models.pipeline import Pipeline
from training.assemble import opened
from training.launch import launch

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


def seen(student: Pipeline, judge: judge_network.Judge, data: str, each: int) -> Sightings:
    """What the judge sees of each type in `each` pictures, requested with what held-out ones of it wear."""
    rows = ImageFolder(data_folder(data), "test").column("attributes")
    own = {name: [row for row in rows if row[0] == name] or [[name]] for name in THINNED}
    requests = [own[name][seed % len(own[name])] for name in THINNED for seed in range(each)]
    images = [student.generate([", ".join(row)], [seed]) for seed, row in enumerate(requests)]
    return sightings(judge, np.concatenate(images), [[row[0]] for row in requests])


def main(
    share: Annotated[float, typer.Option(help="Of the steps of the configurations that ship.", min=0.001)] = 1.0,
    count: Annotated[int, typer.Option(help="Characters of the set.")] = 10_000,
    each: Annotated[int, typer.Option(help="Pictures of each type that are judged.")] = 100,
    balance: Annotated[float, typer.Option(help="How far batches and pairs are balanced by name.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Stem of the results.")] = None,
) -> None:
    """Train judge, teacher and student where they are missing; a bar a type."""
    whole, thinned = (runs_root() / "data" / name for name in (f"avatars-{count}", f"avatars-{count}-thinned"))
    avatars(whole, count)
    thin(whole, thinned, THINNED)
    under = f"evidence/rare-{count}-{share:g}-{balance:g}"
    teacher, student = f"run={under}/teacher", [f"run={under}/student", f"teacher={under}/teacher"]
    launch(
        "attribute-judge",
        CONFIGS / "attribute-judge.yaml",
        [f"run={under}/judge", f"data={whole}", _steps(1200, share)],
    )
    common = [f"data={thinned}", f"loop.balance={balance}"]
    launch("teacher", CONFIGS / "teacher.yaml", [teacher, *common, _steps(6000, share)])
    warmup, pairs = f"warmup={round(2000 * share)}", f"pairs.count={max(64, round(12288 * share))}"
    launch("student", CONFIGS / "student.yaml", [*student, *common, warmup, pairs, _steps(2700, share)])
    judge = judge_network.load(trained(f"{under}/judge"))
    found = seen(opened(f"{under}/student"), judge, str(whole), each)
    bars = [Bar(f"{name}, {THINNED[name]} examples", share, LEAST) for name, share in found.by_name.items()]
    facts = {"N": f"{each} pictures a type", "steps ÷ those that ship": share, "characters": count, "balance": balance}
    publish(bars_result("Rare types as the judge sees them", bars, facts), out)


def _steps(count: int, share: float) -> str:
    return f"loop.steps={round(count * share)}"


if __name__ == "__main__":
    run(main)
