"""Figures and grids for a model card: an evaluation by the command line of the benchmarks, without the page.

python -m benchmarks.quality --data emoji-mini --judge RUN --teacher RUN --student BUNDLE --out FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.evaluate import effort_of, evaluate, save
from benchmarks.sources import Subjects
from metrics import tables
from models.errors import BadInput


def main(
    data: Annotated[str, typer.Option(help="Image set with labels.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    teacher: Annotated[str, typer.Option(help="Run, diffusers folder or Hub name.")],
    student: Annotated[str, typer.Option(help="Bundle, run or diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    decoder: Annotated[str | None, typer.Option(help="Run of a sharpened decoder for the teacher.")] = None,
    backend: Annotated[str, typer.Option(help="Of a bundle.")] = "auto",
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    images: Annotated[int, typer.Option(help="N of the distances.")] = 400,
    captions: Annotated[int, typer.Option(help="Captions drawn of each identified set.")] = 200,
    sweep: Annotated[int, typer.Option(help="Images drawn for each point of the sweep.")] = 100,
    guidances: Annotated[str, typer.Option(help="The sweep.")] = "1,1.25,1.5,2,3,5,7.5",
    samplers: Annotated[str, typer.Option(help="Of the sweep.")] = "ddim,dpm-solver++",
) -> None:
    """Measure quality and print the table; the last line of stdout is one JSON document."""
    subjects = Subjects(student, teacher, judge, data, decoder, (), backend, steps, (1,))
    evaluation = evaluate(subjects, effort_of(images, captions, sweep, guidances, samplers))
    save(evaluation, out)
    Console(stderr=True).print(tables.rich_table(evaluation.report, evaluation.attributes))
    print(json.dumps(json.loads((out / "quality.json").read_text())))


if __name__ == "__main__":
    try:
        typer.run(main)
    except (BadInput, ValueError) as error:
        print(f"quality: {error}", file=sys.stderr)
        sys.exit(2)
