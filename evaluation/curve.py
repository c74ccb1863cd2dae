"""How quality grows with training: every snapshot of a run by the judge, against the core-minutes that it took.

python -m evaluation.curve emoji/teacher --data emoji --judge emoji/judge --out curve

The run was trained with `loop.snapshots=true`. Minutes are those of the run's own clock times its threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from base.command import run
from base.errors import BadInput
from base.runs import run_folder
from evaluation import record
from evaluation.bench import Bench
from evaluation.draw import Draw
from evaluation.effort import Effort
from evaluation.figures import DETAIL, IDENTIFIED, fd
from evaluation.image_sets import open_reals
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, publish
from evaluation.subjects import Subjects, open_instruments, teacher_draw
from training.assemble import opened


def snapshots(name: str) -> dict[int, Path]:
    """Step → the model that was saved then. BadInput: none was."""
    folder = run_folder(name) / "snapshots"
    found = {int(path.name): path for path in folder.glob("*") if path.name.isdecimal()}
    if not found:
        raise BadInput(f"{folder} holds no snapshots: train with loop.snapshots=true")
    return dict(sorted(found.items()))


def measure(bench: Bench, name: str, draw: Draw) -> dict[str, Any]:
    """FD by the judge, and identification by set of captions."""
    line = bench.line(name, draw)
    hits = {title: [accuracy.top1, accuracy.top5] for title, accuracy in line[IDENTIFIED].items()}
    return {"FD": fd(line), "detail": line[DETAIL], "identified": hits, "n": line.n}


def main(
    name: Annotated[str, typer.Argument(help="Run of a teacher or a student.")],
    data: Annotated[str, typer.Option(help="Image set with labels.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    out: Annotated[Path, typer.Option(help="Stem of a .json and a .md.")],
    threads: Annotated[int, typer.Option(help="Cores that the training had.")] = 1,
    steps: Annotated[int, typer.Option(help="Of a teacher.")] = 20,
    guidance: Annotated[float, typer.Option(help="Of a teacher.")] = 2.0,
    images: Annotated[int, typer.Option(help="N of the distance.")] = 400,
    captions: Annotated[int, typer.Option(help="Captions drawn of each set that is identified.")] = 200,
) -> None:
    """Judge every snapshot; the last line of stdout is one JSON document."""
    seconds = dict(record.read(name).curves["seconds"])
    bench = Bench(
        open_instruments(Subjects(name, name, judge, data)), open_reals(data), Effort(images, captions, prompts=2)
    )
    rows = []
    for step, folder in snapshots(name).items():
        pipeline = opened(str(folder))
        draw = pipeline.generate if pipeline.is_student else teacher_draw(pipeline, steps)(guidance, "ddim")
        minutes = seconds[min(seconds, key=lambda logged: abs(logged - step))] * threads / 60
        rows.append({"step": step, "core-minutes": minutes, **measure(bench, f"step {step}", draw)})
    publish(Result(f"Quality of {name} over its training", [sheet(rows)], {"run": name, "rows": rows}), out)


def sheet(rows: Sequence[Mapping[str, Any]]) -> Sheet:
    """A row a snapshot."""
    titles = list(rows[0]["identified"])
    heads = ["step", "core-minutes", "FD", "detail", *(f"{title}: top 1 / 5" for title in titles), "N"]
    cells = [
        [str(row["step"]), f"{row['core-minutes']:.0f}", f"{row['FD']:.4g}", f"{row['detail']:.2f}",
         *("{:.3f} / {:.3f}".format(*row["identified"][title]) for title in titles), str(row["n"])]
        for row in rows
    ]  # fmt: skip
    return Sheet("", heads, cells)


if __name__ == "__main__":
    run(main)
