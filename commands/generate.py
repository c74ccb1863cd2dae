"""`ippo generate`: pictures of a bundle or a run, one or many; it composes what may not import each other."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE
from models.sampling import ANCESTRAL, SAMPLERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import shards
    from runtime.generator import Generator, Request


def generate(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="One prompt or label an image; with --attribute or --class the bundle or run in place of them."
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="Of one character, with its weight or without: Zombie, Cap=2.0; repeat it.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--class", help="Number or name of a class; repeat it.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Many of them, in a .txt, .csv or .parquet file.")] = None,
    bundle: Annotated[
        Path,
        typer.Option(
            "--bundle",
            "--run",
            help="Bundle, run or diffusers folder; by default the bundle that ships.",
            show_default=False,
        ),
    ] = SHIPPED_BUNDLE,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, out.png by default; with several images a number is added. Of many: a folder."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first image; image i has seed + i.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="1 to 4, by default 1; of a teacher up to 1000, by default 50.")
    ] = None,
    guidance: Annotated[float, typer.Option(help="Of a teacher; it multiplies the weights of attributes.")] = 1.0,
    sampler: Annotated[str, typer.Option(help=f"Of a teacher: {', '.join((*SAMPLERS, *ANCESTRAL))}.")] = "ddim",
    count: Annotated[int, typer.Option(help="Images a prompt, label or character.", min=1)] = 1,
    grid: Annotated[bool, typer.Option(help="One picture of all images.")] = False,
    gif: Annotated[bool, typer.Option("--gif", help="Of a run: its denoising step by step, as an animation.")] = False,
    image: Annotated[Path | None, typer.Option(help="Picture to start from; by default noise.")] = None,
    strength: Annotated[float, typer.Option(help="How far from that picture, above 0, up to 1.")] = 0.5,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, one that the bundle accepts.")] = None,
    backend: Annotated[str, typer.Option(help="auto, openvino, ort, eager, or trt, which has never run.")] = "auto",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Of the backend.")] = "auto",
    reproducible: Annotated[bool, typer.Option(help="The same bytes whatever is drawn beside an image.")] = False,
    batch: Annotated[int, typer.Option(help="Of many: images drawn together.", min=1, max=64)] = 8,
    shard: Annotated[
        int, typer.Option(help="Of many: images a folder; a killed run loses less than one.", min=1)
    ] = 256,
    format: Annotated[Literal["png", "jpeg", "webp"], typer.Option(help="Of many: of the files.")] = "png",
    engine: Annotated[Literal["here", "ray"], typer.Option(help="Of many: this process, or a Ray cluster.")] = "here",
    actors: Annotated[
        int | None, typer.Option(help="Of Ray: generators at once; by default one a GPU, or a node.", min=1)
    ] = None,
) -> None:
    """Draw images from a bundle or a run; many of them from a file, where the same command again resumes."""
    from runtime import backend as backends
    from runtime import shards
    from runtime.bundle import open_bundle
    from runtime.generator import Generator
    from runtime.prompts import read as rows

    asked, bundle = _asked(inputs or [], attribute or [], label or [], bundle)
    named = {"attributes": attribute, "label": label}
    kinds = tuple(kind for kind, given in named.items() if given)
    is_run = _is_run(bundle)
    _check_options(asked, prompts, is_run, gif, starts=image is not None or size is not None, grid=grid)
    if is_run:
        way = (steps, guidance, sampler)
        print(*_from_run(str(bundle), asked, kinds, seed, count, way, out, grid, gif), sep="\n")
        return
    steps = 1 if steps is None else steps
    opened = open_bundle(bundle)
    _check_kinds(kinds, opened.manifest.inputs, bundle)
    generator = Generator(opened, backends.load(backend, opened, backends.BackendOptions(None, device, reproducible)))
    if prompts is not None:
        many = shards.requests_of(rows(prompts, opened.manifest.inputs), seed, count)
        job = shards.job_of(generator, many, device, reproducible, steps, format, batch, shard)
        print(_bulk(job, many, bundle, out or Path("out"), engine, actors))
        return
    start = (image, strength)
    print(*_from_bundle(generator, asked, seed, count, steps, size, start, out, grid), sep="\n")


def _asked(inputs: list[str], attributes: list[str], labels: list[str], bundle: Path) -> tuple[list[str], Path]:
    """What is to be drawn, and by what: beside attributes or classes the argument names the bundle or run."""
    asked = [*labels, *([", ".join(attributes)] if attributes else [])]
    if not asked:
        return inputs, bundle
    if len(inputs) > 1:
        raise BadInput("with --attribute or --class the one argument is a bundle or a run")
    return asked, Path(*inputs) if inputs else bundle


def _check_options(
    asked: list[str], prompts: Path | None, is_run: bool, gif: bool, *, starts: bool, grid: bool
) -> None:
    """BadInput: options that do not go together."""
    if bool(asked) == (prompts is not None):
        raise BadInput("what is to be drawn? Accepted: prompts or labels, --class, --attribute, or --prompts FILE")
    if prompts is not None and (grid or starts):
        raise BadInput("--grid, --image and --size go with prompts of the command line, not with --prompts")
    if is_run and (prompts is not None or starts):
        raise BadInput("--prompts, --image and --size are for bundles, not for runs: ippo export makes one")
    if gif and not is_run:
        raise BadInput("--gif shows how a run denoises, and a bundle draws at once: name a run with --run")


def _check_kinds(kinds: tuple[str, ...], taken: tuple[str, ...], model: Path | str) -> None:
    """BadInput: --attribute or --class of a model that takes something else."""
    if other := [kind for kind in kinds if kind not in taken]:
        raise BadInput(f"{model} does not take {' and '.join(other)}; accepted: {', '.join(taken) or 'a seed alone'}")


def _is_run(name: Path) -> bool:
    """Whether torch draws: a run or a diffusers folder that is no bundle."""
    from base.runs import run_folder
    from runtime.bundle import MANIFEST

    found = run_folder(str(name))
    kinds = [(found / file).is_file() for file in (MANIFEST, "config.yaml", "model_index.json")]
    return not kinds[0] and any(kinds)


def _from_bundle(
    generator: Generator,
    inputs: list[str],
    seed: int,
    count: int,
    steps: int,
    size: str | None,
    start: tuple[Path | None, float],
    out: Path | None,
    grid: bool,
) -> list[Path]:
    """Images of a bundle, from noise or from a picture and a strength."""
    from runtime.generator import Request
    from runtime.pictures import read, write
    from runtime.shapes import parse_size

    drawn = parse_size(size) if size else generator.sizes[0]
    generator.check_size(drawn)
    picture = read(start[0], drawn) if start[0] else None
    requests = [Request(wanted, seed + number, picture, start[1]) for wanted in inputs for number in range(count)]
    images = generator.generate(requests, steps, drawn)
    return write(images, out or Path("out.png"), columns=count if count > 1 else len(requests), grid=grid)


def _from_run(
    run: str,
    inputs: list[str],
    kinds: tuple[str, ...],
    seed: int,
    count: int,
    way: tuple[int | None, float, str],
    out: Path | None,
    grid: bool,
    gif: bool,
) -> list[Path]:
    """Images or the animation of a teacher or a student."""
    from evaluation import denoising as drawing
    from runtime.pictures import write
    from training.assemble import opened

    pipeline, drawn = opened(run), drawing.Way(*way)
    _check_kinds(kinds, pipeline.inputs, run)
    wanted = [one for one in inputs for _ in range(count)]
    seeds = [seed + number for _ in inputs for number in range(count)]
    if gif:
        return [drawing.animate(drawing.frames(pipeline, wanted, seeds, drawn), out or Path("out.gif"))]
    images = drawing.draw(pipeline, wanted, seeds, drawn)
    return write(images, out or Path("out.png"), columns=count if count > 1 else len(wanted), grid=grid)


def _bulk(job: shards.Job, requests: list[Request], bundle: Path, out: Path, engine: str, actors: int | None) -> Path:
    """Bulk generation, here or on Ray."""
    from runtime import shards

    painter = partial(_painter, job, bundle.resolve(), out.resolve())
    if engine == "here":
        return shards.run(painter, job, out, requests)
    if importlib.util.find_spec("ray") is None:
        raise BadInput("engine ray is not installed: pip install 'ippo[ray]'")
    from runtime import on_ray

    return shards.run(painter, job, out, requests, on_ray.engine(actors))


def _painter(job: shards.Job, bundle: Path, out: Path) -> shards.Painter:
    """Who draws a job's files, which are those of the service; made where it is to work."""
    from models.task import task_of
    from runtime import backend, shards
    from runtime.bundle import open_bundle
    from runtime.generator import Generator
    from serving.images import Provenance, encode

    opened = open_bundle(bundle)
    manifest, task = opened.manifest, task_of(opened.manifest)
    options = backend.BackendOptions(device=job.device, reproducible=job.reproducible)
    drawing = backend.load(job.backend, opened, options)

    def encoded(pixels: NDArray[np.uint8], request: Request) -> bytes:
        inputs = task.shown(request.input)
        return encode(pixels, job.format, Provenance(inputs, request.seed, job.steps, manifest.model_name, job.bundle))

    return shards.Painter(Generator(opened, drawing), job, out, encoded)
