"""`ippo sample`: images of a run or a diffusers folder, teacher or student, drawn by torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from base.errors import BadInput
from base.runs import taken
from commands import options
from models.sampling import ANCESTRAL, SAMPLERS


def sample(
    run: Annotated[str, typer.Argument(help="Run, diffusers folder or Hub name.")],
    inputs: options.Inputs = None,
    attribute: options.Attributes = None,
    label: options.Labels = None,
    out: Annotated[
        Path | None, typer.Option(help="File, out.png or out.gif by default; with several images a number is added.")
    ] = None,
    seed: options.Seed = 0,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps: of a student 1 to 4, by default 1; of a teacher up to 1000, by default 50."),
    ] = None,
    guidance: Annotated[
        float, typer.Option(help="Guidance of a teacher; it multiplies the weights of attributes.")
    ] = 1.0,
    sampler: Annotated[str, typer.Option(help=f"Sampler of a teacher: {', '.join((*SAMPLERS, *ANCESTRAL))}.")] = "ddim",
    flow: Annotated[
        str | None, typer.Option(help="Of a folder of several flows: its task (image-to-text); by default the first.")
    ] = None,
    count: options.Count = 1,
    grid: options.Grid = False,
    take: options.Taken = "best",
    gif: Annotated[bool, typer.Option("--gif", help="The denoising step by step, as an animation.")] = False,
) -> None:
    """Draw images from a run, or say texts otherwise, before it is a bundle; a teacher takes guidance and a sampler."""
    from evaluation.galleries import step_by_step
    from evaluation.pages.gif import animate
    from models.task import task_of
    from runtime import images
    from runtime.provenance import Provenance, together
    from training.assemble import opened

    every = options.requested(inputs, attribute, label)
    out = out or Path("out.gif" if gif else "out.png")
    if not gif:
        images.check_out(out)
    pipeline = opened(taken(run, take))
    pipeline = pipeline if flow is None else pipeline.flow(flow)
    options.check_kinds(attribute, label, pipeline.inputs, run)
    texts = [text for text in every for _ in range(count)]
    seeds = [seed + number for _ in every for number in range(count)]
    how, task = step_by_step.SamplingOptions(steps, guidance, sampler), task_of(pipeline)
    if task.output == "text":
        ids: Any = step_by_step.draw(pipeline, texts, seeds, how)
        print(*pipeline.autoencoder.texts(ids), sep="\n")
        return
    used = steps or (1 if pipeline.is_student else step_by_step.TEACHER_STEPS)
    guided = _guided(run, pipeline.is_student, guidance, sampler)
    sources = [
        Provenance(task.shown(text), number, used, run, None, None, *guided)
        for text, number in zip(texts, seeds, strict=True)
    ]
    if gif:
        print(animate(step_by_step.frames(pipeline, texts, seeds, how), out, together(sources).as_json()))
        return
    pixels = step_by_step.draw(pipeline, texts, seeds, how)  # (N, H, W, 3)
    options.write_pictures(pixels, sources, out, grid, count)


def _guided(run: str, student: bool, guidance: float, sampler: str) -> tuple[float | None, str | None]:
    """What a teacher is guided by. BadInput: a student that is to be."""
    if not student:
        return guidance, sampler
    if (guidance, sampler) != (1.0, "ddim"):
        raise BadInput(
            f"{run} is a student, which draws without guidance and sampler: leave --guidance and --sampler out"
        )
    return None, None
