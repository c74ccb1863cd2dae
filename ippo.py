"""The command line: one table, command → function; thin, and free of torch until a command needs it."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperCommand

import models.environment  # noqa: F401
from models.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export import bulk
    from export.generator import Request

app = typer.Typer(
    help="ippo: a folder of captioned images becomes a model that draws in one step, served over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make data sets: render the emoji, or clean a folder of one's own.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Overrides = Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. loop.steps=2000.")]
Decoder = Annotated[str | None, typer.Option(help="Run of a sharpened decoder to put in the autoencoder's place.")]


@data_app.command("emoji")
def data_emoji(
    subset: Annotated[Literal["emoji", "emoji-mini"], typer.Argument(help="All, or 200 chosen ones.")] = "emoji-mini",
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/SUBSET below IPPO_RUNS.")] = None,
    font: Annotated[Path | None, typer.Option(help="Noto Color Emoji; by default Debian's.")] = None,
) -> None:
    """Render Noto Color Emoji as captioned 64x64 images in English and French."""
    from training.data import emoji
    from training.runs import runs_root

    Console(stderr=True).print(*emoji.render(out or runs_root() / "data" / subset, subset, font).tables())


@data_app.command("digits")
def data_digits(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/digits below IPPO_RUNS.")] = None,
    images: Annotated[int | None, typer.Option(min=10, help="Training images kept, evenly; by default all.")] = None,
) -> None:
    """Write scikit-learn's real handwritten digits, 8x8 shown at 16x16, with their labels."""
    from training.data.digits import digits
    from training.runs import runs_root

    Console(stderr=True).print(*digits(out or runs_root() / "data" / "digits", images=images).tables())


@data_app.command("mnist")
def data_mnist(
    source: Annotated[str, typer.Argument(help="Folder of the IDX files, gz or not, or a name on the Hub.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/mnist below IPPO_RUNS.")] = None,
) -> None:
    """Write MNIST, or any set in its format, padded to 32x32, with its labels."""
    from training.data.mnist import mnist
    from training.runs import runs_root

    Console(stderr=True).print(*mnist(source, out or runs_root() / "data" / "mnist").tables())


@data_app.command("avatars")
def data_avatars(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/avatars below IPPO_RUNS.")] = None,
    count: Annotated[int, typer.Option(help="How many different characters.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Draw pixel-art characters of 24x24 from a grammar, with the attributes of each."""
    from training.data.avatars import avatars
    from training.runs import runs_root

    Console(stderr=True).print(*avatars(out or runs_root() / "data" / "avatars", count, seed).tables())


@data_app.command("cryptopunks")
def data_cryptopunks(
    source: Annotated[Path, typer.Argument(help="Folder of the published images and their CSV tables.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/cryptopunks below IPPO_RUNS.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
) -> None:
    """Write the CryptoPunks, 24x24, with type and accessories."""
    from training.data.cryptopunks import cryptopunks
    from training.runs import runs_root

    Console(stderr=True).print(*cryptopunks(source, out or runs_root() / "data" / "cryptopunks", seed).tables())


@data_app.command("build")
def data_build(
    source: Annotated[Path, typer.Argument(help="A recipe such as configs/data/naruto.yaml, or images with captions.")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(help="Of images: the new set's folder. Of a recipe: overrides, e.g. root=FOLDER."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square images in pixels; by default 512.")] = None,
    background: Annotated[str | None, typer.Option(help="Colour behind transparent images; by default white.")] = None,
    fit: Annotated[str | None, typer.Option(help="How other shapes become square: crop, the default, or pad.")] = None,
    stratify: Annotated[str | None, typer.Option(help="Column whose values every split shares alike.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the 80/10/10 split; by default 0.")] = None,
    near: Annotated[
        int | None,
        typer.Option(help="Drop near-duplicates: bits of 192 that may differ, e.g. 12; by default none are."),
    ] = None,
) -> None:
    """Clean captioned images into a Hugging Face imagefolder, and say what was dropped and why.

    Images and captions (sidecar .txt, CSV or metadata.jsonl) come from a folder, or from where a recipe says.
    """
    from training.data import build, recipe

    options = {"size": size, "background": background, "fit": fit, "stratify": stratify, "seed": seed, "near": near}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if source.suffix in (".yaml", ".yml"):
        overrides = [*(rest or ()), *(f"{name}={value!r}" for name, value in given.items())]
        report = recipe.make(recipe.RecipeConfig.load(source, overrides))
    elif len(rest or ()) == 1:
        report = build.build(source, Path((rest or [""])[0]), **given)
    else:
        raise BadInput("a folder of images needs the folder of the new set beside it, and nothing else")
    Console(stderr=True).print(*report.tables())


@app.command()
def train(
    method: Annotated[
        str, typer.Argument(help="autoencoder, clip, teacher, student, decoder, judge or attribute-judge.")
    ],
    config: Annotated[Path, typer.Argument(help="YAML of the run, e.g. configs/emoji-mini/teacher.yaml.")],
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would need, of a teacher or student of a base.")
    ] = False,
) -> None:
    """Train; the same command again resumes."""
    from training.launch import launch, rehearse

    if dry_run:
        from training.trouble import LESS

        estimate = rehearse(method, config, overrides or [])
        Console().print(estimate.table())
        if estimate.peak > estimate.free:
            Console(stderr=True).print(f"this will not fit: {LESS}", style="yellow")
        return
    figures = launch(method, config, overrides or [])
    Console().print("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))


@app.command()
def save(
    run: Annotated[str, typer.Argument(help="Run, diffusers folder or Hub name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    decoder: Decoder = None,
) -> None:
    """Save a run's pipeline as a plain diffusers folder in fp16."""
    import torch

    from models import folder
    from training.assemble import opened

    folder.save(opened(run, decoder), out, torch.float16)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="Student: a run, or a diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    decoder: Decoder = None,
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    buckets: Annotated[
        str | None, typer.Option(help="Static plans as BATCHxWIDTHxHEIGHT, e.g. 1x64x64,4x64x64; they add sizes too.")
    ] = None,
    precision: Annotated[
        Literal["fp16", "fp32", "int8"],
        typer.Option(help="Of the weights and inside the graphs; int8 adds quantised twins of the fused graph."),
    ] = "fp16",
    calibrate: Annotated[
        Path | None, typer.Option(help="Prompts or labels that calibrate int8: .txt, .csv, .parquet, metadata.jsonl.")
    ] = None,
    lora: Annotated[
        Path | None, typer.Option(help="Adapter to fuse into the denoiser first: peft or diffusers.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a bundle that is there.")] = False,
) -> None:
    """Export a student as a bundle: ONNX graphs over one copy of the weights, checked against torch.

    The gate runs the graphs on every backend that is installed here (openvino, ort, eager). What it says nothing about: the
    backends `trt` and `ort` on CUDA build on the machine that serves, and have never run on a GPU.
    """
    from export import build, prompts, shapes
    from models import folder
    from training.assemble import opened

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was half-written goes
    planned = shapes.parse(buckets) if buckets else ()
    asked = [row.input for row in prompts.read(calibrate)] if calibrate else None
    with tempfile.TemporaryDirectory() as scratch:
        student = Path(scratch) / "student"
        folder.save(opened(run, decoder), student)
        bundle = build.export(
            str(student), out, model_name=name, source=run,
            buckets=planned, precision=precision, calibration=asked, lora=lora, overwrite=overwrite,
        )  # fmt: skip
    Console().print_json(data=bundle.manifest.parity)


@app.command()
def adopt(
    folder: Annotated[Path, typer.Argument(help="One-step student that optimum exported to ONNX.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a bundle that is there.")] = False,
) -> None:
    """Make a bundle of a folder that optimum exported; there is nothing to compare its graphs with."""
    from export.adopt import adopt as adopted

    print(adopted(folder, out, model_name=name, overwrite=overwrite).folder)


@app.command()
def evaluate(
    student: Annotated[str, typer.Argument(help="Bundle, run or diffusers folder.")],
    data: Annotated[str, typer.Option(help="Image set with labels.")],
    teacher: Annotated[str, typer.Option(help="Run, diffusers folder or Hub name.")],
    judge: Annotated[str, typer.Option(help="Run or folder of the judge.")],
    out: Annotated[Path, typer.Option(help="Folder of the page, the figures and the grids.")],
    features: Annotated[
        str, typer.Option(help="More networks, e.g. clip:FOLDER,dinov2:HUB-NAME,inception:FOLDER,lpips:FOLDER.")
    ] = "judge",
    decoder: Decoder = None,
    backend: Annotated[str, typer.Option(help="Of a bundle: auto, openvino, ort or eager.")] = "auto",
    steps: Annotated[int, typer.Option(help="Of the teacher.")] = 50,
    student_steps: Annotated[str, typer.Option(help="Of the student.")] = "1,2,4",
    images: Annotated[int, typer.Option(help="N of the distances.")] = 400,
    captions: Annotated[int, typer.Option(help="Captions drawn of each set that is identified.")] = 200,
    sweep: Annotated[int, typer.Option(help="Images drawn for each point of the teacher's sweep.")] = 100,
    guidances: Annotated[str, typer.Option(help="The sweep.")] = "1,1.25,1.5,2,3,5,7.5",
    samplers: Annotated[str, typer.Option(help="Of the sweep.")] = "ddim,dpm-solver++",
    quick: Annotated[
        bool, typer.Option("--quick", help="A narrow sweep and few images, in place of the above.")
    ] = False,
) -> None:
    """Judge a student beside its teacher: one self-contained HTML page, figures and grids."""
    from benchmarks import evaluate as evaluation
    from benchmarks import report_page
    from benchmarks.sources import Subjects, steps_of
    from metrics import tables
    from metrics.report import QUICK

    effort = QUICK if quick else evaluation.effort_of(images, captions, sweep, guidances, samplers)
    networks = tuple(name for name in features.split(",") if name != "judge")  # it is always there
    subjects = Subjects(student, teacher, judge, data, decoder, networks, backend, steps, steps_of(student_steps))
    found = evaluation.evaluate(subjects, effort, rounds=1 if quick else 3)
    evaluation.save(found, out)
    evaluation.write(out / "evaluation.html", report_page.html(found))
    Console(stderr=True).print(tables.rich_table(found.report, found.attributes))
    print(out / "evaluation.html")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Runs, by name or folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path(),
) -> None:
    """Put runs side by side on one HTML page: curves, last figures, samples, differing configuration."""
    from benchmarks.compare import compare as side_by_side

    print(side_by_side(runs, out))


@app.command()
def convert(
    kind: Annotated[Literal["inception", "lpips"], typer.Argument(help="The feature network.")],
    file: Annotated[
        Path, typer.Argument(help="pt_inception-2015-12-05*.pth; torchvision's AlexNet or VGG16 for LPIPS.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    heads: Annotated[Path | None, typer.Option(help="LPIPS's own file of linear heads.")] = None,
) -> None:
    """Turn a foreign weights file into a safetensors folder; nothing in the file is executed."""
    from metrics import inception, lpips

    try:
        if kind == "inception":
            inception.convert(file, out)
        elif heads is None:
            raise BadInput("LPIPS needs its linear heads as well: --heads FILE")
        else:
            lpips.convert(file, heads, out)
    except ValueError as error:
        raise BadInput(str(error)) from error
    print(out)


@app.command()
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
        typer.Option("--bundle", "--run", help="Bundle, run or diffusers folder; by default the bundle that ships."),
    ] = Path("models/pretrained/emoji-mini/student"),
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
    sampler: Annotated[str, typer.Option(help="Of a teacher: ddim, dpm-solver++ or ddpm.")] = "ddim",
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
    from export import backend as backends
    from export import bulk
    from export.bundle import open_bundle
    from export.generator import Generator, Request
    from export.pictures import read, write
    from export.prompts import read as rows
    from export.shapes import parse_size

    asked, bundle = _asked(inputs or [], attribute or [], label or [], bundle)
    named = {"attributes": attribute, "label": label}
    kinds = tuple(kind for kind, given in named.items() if given)
    if bool(asked) == (prompts is not None):
        raise BadInput("what is to be drawn? Accepted: prompts or labels, --class, --attribute, or --prompts FILE")
    if prompts is not None and (grid or image is not None or size is not None):
        raise BadInput("--grid, --image and --size go with prompts of the command line, not with --prompts")
    if _is_run(bundle):
        if prompts is not None or image is not None or size is not None:
            raise BadInput("--prompts, --image and --size are for bundles, not for runs: ippo export makes one")
        way = (steps, guidance, sampler)
        print(*_from_run(str(bundle), asked, kinds, seed, count, way, out, grid, gif), sep="\n")
        return
    if gif:
        raise BadInput("--gif shows how a run denoises, and a bundle draws at once: name a run with --run")
    steps = 1 if steps is None else steps
    opened = open_bundle(bundle)
    _check_kinds(kinds, opened.manifest.inputs, bundle)
    generator = Generator(opened, backends.load(backend, opened, device=device, reproducible=reproducible))
    if prompts is not None:
        many = bulk.requests_of(rows(prompts), seed, count)
        job = bulk.job_of(generator, many, device, reproducible, steps, format, batch, shard)
        print(_bulk(job, many, bundle, out or Path("out"), engine, actors))
        return
    drawn = parse_size(size) if size else generator.sizes[0]
    generator.check_size(drawn)
    start = read(image, drawn) if image else None
    requests = [Request(wanted, seed + number, start, strength) for wanted in asked for number in range(count)]
    images = generator.generate(requests, steps, drawn)
    for file in write(images, out or Path("out.png"), columns=count if count > 1 else len(requests), grid=grid):
        print(file)


def _asked(inputs: list[str], attributes: list[str], labels: list[str], bundle: Path) -> tuple[list[str], Path]:
    """What is to be drawn, and by what: beside attributes or classes the argument names the bundle or run."""
    asked = [*labels, *([", ".join(attributes)] if attributes else [])]
    if not asked:
        return inputs, bundle
    if len(inputs) > 1:
        raise BadInput("with --attribute or --class the one argument is a bundle or a run")
    return asked, Path(*inputs) if inputs else bundle


def _check_kinds(kinds: tuple[str, ...], taken: tuple[str, ...], model: Path | str) -> None:
    """BadInput: --attribute or --class of a model that takes something else."""
    if other := [kind for kind in kinds if kind not in taken]:
        raise BadInput(f"{model} does not take {' and '.join(other)}; accepted: {', '.join(taken) or 'a seed alone'}")


def _is_run(name: Path) -> bool:
    """Whether torch draws: a run or a diffusers folder that is no bundle."""
    from export.bundle import MANIFEST
    from training.runs import run_folder

    found = run_folder(str(name))
    kinds = [(found / file).is_file() for file in (MANIFEST, "config.yaml", "model_index.json")]
    return not kinds[0] and any(kinds)


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
    from export.pictures import write
    from training import drawing
    from training.assemble import opened

    pipeline, drawn = opened(run), drawing.Way(*way)
    _check_kinds(kinds, pipeline.inputs, run)
    wanted = [one for one in inputs for _ in range(count)]
    seeds = [seed + number for _ in inputs for number in range(count)]
    if gif:
        return [drawing.animate(drawing.frames(pipeline, wanted, seeds, drawn), out or Path("out.gif"))]
    images = drawing.draw(pipeline, wanted, seeds, drawn)
    return write(images, out or Path("out.png"), columns=count if count > 1 else len(wanted), grid=grid)


def _bulk(job: bulk.Job, requests: list[Request], bundle: Path, out: Path, engine: str, actors: int | None) -> Path:
    """Bulk generation, here or on Ray."""
    from export import bulk

    painter = partial(_painter, job, bundle.resolve(), out.resolve())
    if engine == "here":
        return bulk.run(painter, job, out, requests)
    if importlib.util.find_spec("ray") is None:
        raise BadInput("engine ray is not installed: pip install 'ippo[ray]'")
    from export import on_ray

    return bulk.run(painter, job, out, requests, on_ray.engine(actors))


def _painter(job: bulk.Job, bundle: Path, out: Path) -> bulk.Painter:
    """Who draws a job's files, which are those of the service; made where it is to work."""
    from export import backend, bulk
    from export.bundle import open_bundle
    from export.generator import Generator
    from serving.images import Provenance, encode

    opened = open_bundle(bundle)
    manifest = opened.manifest
    drawing = backend.load(job.backend, opened, device=job.device, reproducible=job.reproducible)

    def encoded(pixels: NDArray[np.uint8], request: Request) -> bytes:
        inputs = dict.fromkeys(manifest.inputs, str(request.input))
        return encode(pixels, job.format, Provenance(inputs, request.seed, job.steps, manifest.model_name, job.bundle))

    return bulk.Painter(Generator(opened, drawing), job, out, encoded)


class WithSettings(TyperCommand):
    """A command whose help ends in all settings of the service."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from serving.config import ServeConfig

        super().format_help(ctx, formatter)
        typer.echo(f"Settings, their defaults and variables:\n\n{ServeConfig.settings()}")


@app.command(cls=WithSettings)
def serve(
    settings: Annotated[
        list[str] | None, typer.Argument(help="Settings, e.g. max_queue=16; all are listed below.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder of the bundle; by default the one that ships.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; by default 3000.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; by default 127.0.0.1.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, openvino or ort.")] = None,
) -> None:
    """Serve a bundle over HTTP.

    Every setting is an environment variable as well; the command line comes before it, and the file after it.
    """
    from serving.config import ServeConfig
    from serving.launch import serve as launch

    options = {"bundle": bundle, "port": port, "host": host, "backend": backend}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    launch(ServeConfig.resolve(config, os.environ, [*(settings or ()), *given]))


@app.command()
def studio(
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address; others than this machine's own reach a page without keys.")
    ] = "127.0.0.1",
) -> None:
    """Open a local page over data, training and drawing; trainings that it starts outlive it."""
    from studio.app import serve as listen

    print(f"http://{host}:{port}")
    listen(host, port)


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"ippo: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
