"""`ippo evaluate`, `ippo compare`: a student with its teacher, runs with each other; each on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from base.files import check_writable, write_text
from base.runs import taken
from commands.options import Decoder, Taken
from evaluation.effort import GUIDANCES, QUICK, Effort, parse_guidances
from models.sampling import SAMPLERS
from models.task import task_named
from runtime import available

if TYPE_CHECKING:  # it imports torch
    from evaluation.subjects import Subjects

SWEEP = ",".join(f"{guidance:g}" for guidance in GUIDANCES)


def evaluate(
    student: Annotated[str, typer.Argument(help="Bundle, hub:user/name, run or diffusers folder.")],
    data: Annotated[str, typer.Option(help="Image set with labels.")],
    teacher: Annotated[str, typer.Option(help="Run, diffusers folder or Hub name.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    out: Annotated[Path, typer.Option(help="Folder of the page, the figures and the grids.", file_okay=False)],
    features: Annotated[
        str, typer.Option(help="More networks, e.g. clip:FOLDER,dinov2:HUB-NAME,inception:FOLDER,lpips:FOLDER.")
    ] = "judge",
    decoder: Decoder = None,
    take: Taken = "best",
    backend: Annotated[str, typer.Option(help=f"Of a bundle: {available.described()}.")] = "auto",
    flow: Annotated[
        str | None, typer.Option(help="Of a folder of several flows: its task (image-to-text); by default the first.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the teacher.")] = 50,
    student_steps: Annotated[str, typer.Option(help="Numbers of steps of the student.")] = "1,2,4",
    images: Annotated[int, typer.Option(help="Images drawn for the distances.")] = Effort.images,
    captions: Annotated[int, typer.Option(help="Captions drawn of each set that is identified.")] = Effort.captions,
    sweep: Annotated[int, typer.Option(help="Images drawn for each point of the teacher's sweep.")] = Effort.sweep,
    guidances: Annotated[str, typer.Option(help="Guidances of the teacher's sweep.")] = SWEEP,
    samplers: Annotated[str, typer.Option(help="Samplers of the teacher's sweep.")] = ",".join(SAMPLERS),
    typed: Annotated[
        Path | None,
        typer.Option(help="Table of prompts as typed and what they mean, such as configs/icons/hundred_prompts.tsv."),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(help="Run of ippo train autoregressive-captioner, which a flow that writes is compared with."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A narrow sweep and few images, in place of the above.")
    ] = False,
    page: Annotated[bool, typer.Option(help="Without one, figures and grids alone, and nothing is timed.")] = True,
) -> None:
    """Judge a student against its teacher: one self-contained HTML page, figures and grids."""
    from evaluation.subjects import Subjects, parse_steps

    check_writable(out)
    sweep_of = parse_guidances(guidances), tuple(samplers.split(","))
    effort = QUICK if quick else Effort(images, captions, *sweep_of, sweep=sweep)
    networks = tuple(name for name in features.split(",") if name != "judge")  # it is always there
    named, counts = taken(student, take), parse_steps(student_steps)
    subjects = Subjects(named, teacher, judge, data, decoder, networks, backend, steps, counts, flow, typed, captioner)
    rounds = (1 if quick else 3) if page else 0
    writes = flow is not None and task_named(flow).output == "text"
    print((_of_captions if writes else _of_images)(subjects, effort, rounds, out))


def _of_images(subjects: Subjects, effort: Effort, rounds: int, out: Path) -> Path:
    """Evaluate a flow that draws, and write it to a folder: the page, or the figures where nothing was timed."""
    from evaluation import evaluation
    from evaluation.pages import report_page, report_tables

    result = evaluation.evaluate(subjects, effort, rounds=rounds)
    evaluation.save(result, out)
    console = Console(stderr=True)
    console.print(report_tables.rich_table(result.report, result.compositions, result.sheets))
    if (asked := result.transfers) is not None:
        console.print(report_tables.rich_sheets(asked.sheets(), asked.notes(), asked.warnings()))
    if rounds:
        write_text(out / "evaluation.html", report_page.html(result))
    return out / ("evaluation.html" if rounds else "quality.json")


def _of_captions(subjects: Subjects, effort: Effort, rounds: int, out: Path) -> Path:
    """The same of a flow that writes."""
    from evaluation.captions import caption_evaluation
    from evaluation.pages import caption_page, report_tables

    result = caption_evaluation.evaluate(subjects, effort, rounds)
    caption_evaluation.save(result, out)
    Console(stderr=True).print(report_tables.rich_sheets(result.sheets(), result.comparison.notes(), result.warnings()))
    if rounds:
        write_text(out / "captions.html", caption_page.html(result))
    return out / ("captions.html" if rounds else "captions.json")


def compare(
    runs: Annotated[list[str], typer.Argument(help="Runs, by name or folder.")],
    out: Annotated[Path, typer.Option(help="Folder to write the page into.", file_okay=False)] = Path(),
) -> None:
    """Put runs side by side on one HTML page: curves, last figures, samples, differing configuration."""
    from evaluation.pages.runs_page import compare as side_by_side

    check_writable(out)
    print(side_by_side(runs, out))
